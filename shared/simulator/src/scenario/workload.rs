//! Workloads: which tasks are submitted when, what they need, and how long they run.

use std::collections::BTreeMap;

use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use berth_scheduler::resources::Demand;
use berth_scheduler::waiting::Priority;

use super::csv::{self, Field, InputError, Problems};

/// The columns of a workload.
const COLUMNS: [&str; 10] = [
    "submit_s",
    "duration_s",
    "cpu_units",
    "memory_mib",
    "gpu",
    "priority",
    "user",
    "count",
    "constraint",
    EXPECTED_COLUMN,
];

/// The column that may be missing.
const EXPECTED_COLUMN: &str = "expected_s";

/// The longest `expectedDurationSeconds` of a submission: a year.
const EXPECTED_SECONDS_MAX: u32 = 31_536_000;

/// Latest submission and longest run, in seconds: ten years, far beyond any trace.
const SECONDS_MAX: u32 = 315_360_000;

/// Amounts are 32-bit integers in ECS's API.
const AMOUNT_MAX: u32 = 0x7fff_ffff;

/// Least memory of a container, in MiB: Docker starts none with less.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>
const MEMORY_MIB_MIN: u32 = 6;

/// More GPUs than any instance has.
const GPUS_MAX: u32 = 1_024;

/// Most tasks of a workload: what a run of some minutes and a few gigabytes can play.
const TASKS_MAX: u32 = 1_000_000;

/// Tasks to play, in the order they are submitted.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What tasks can need.
    pub(super) shapes: Vec<TaskShape>,
    /// The lines of the file, in the order of submission.
    pub(super) entries: Vec<Entry>,
}

/// What a task needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaskShape {
    /// What it takes.
    pub(super) demand: Demand,
    /// Where it may run.
    pub(super) constraint: Option<Expression>,
}

/// One line of a workload: equal tasks that are submitted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line in the file, counted from 1.
    pub(super) line: usize,
    /// When they are submitted, in milliseconds from the beginning.
    pub(super) submit_ms: u64,
    /// How long each runs, in milliseconds.
    pub(super) duration_ms: u64,
    /// How long each declares to run, in seconds.
    pub(super) expected_s: Option<u32>,
    /// How urgent they are.
    pub(super) priority: Priority,
    /// How many there are.
    pub(super) count: u32,
    /// What each needs: a position in [`Workload::shapes`].
    pub(super) shape: usize,
}

impl Workload {
    /// Reads a workload in CSV. `file` is its name in messages.
    ///
    /// # Errors
    /// Every problem, with line and column.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, InputError> {
        let mut problems = Problems::of(file);
        let Some(text) = csv::text_of(bytes, &mut problems) else {
            return problems.finish(Self::of(Vec::new()));
        };
        let rows = csv::rows(text, COLUMNS, &[EXPECTED_COLUMN], &mut problems);
        let no_row = rows.is_empty();
        let read: Vec<_> = rows
            .into_iter()
            .filter_map(|row| read_row(row, &mut problems))
            .collect();
        let tasks = read
            .iter()
            .fold(0_u32, |sum, (_, entry)| sum.saturating_add(entry.count));
        let workload = Self::of(read);
        let mut whole = Problems::of(file);
        if no_row {
            whole.in_file("no task: give at least one line below the header");
        } else if tasks > TASKS_MAX {
            whole.in_file(format!("{tasks} tasks: give at most {TASKS_MAX}"));
        }
        problems.finish(()).and_then(|()| whole.finish(workload))
    }

    /// The workload of these lines, in any order; where each has its shape is worked out here.
    pub(super) fn of(lines: Vec<(TaskShape, Entry)>) -> Self {
        let mut workload = Self {
            shapes: Vec::new(),
            entries: Vec::with_capacity(lines.len()),
        };
        let mut shapes = BTreeMap::new();
        for (shape, entry) in lines {
            let constraint = shape.constraint.as_ref().map(Expression::to_string);
            let key = (shape.demand.clone(), constraint);
            let position = *shapes.entry(key).or_insert_with(|| {
                workload.shapes.push(shape);
                workload.shapes.len().saturating_sub(1)
            });
            workload.entries.push(Entry {
                shape: position,
                ..entry
            });
        }
        workload
            .entries
            .sort_by_key(|entry| (entry.submit_ms, entry.line));
        workload
    }

    /// How many tasks there are.
    pub fn tasks(&self) -> usize {
        self.entries
            .iter()
            .fold(0, |sum, entry| sum.saturating_add(entry.count as usize))
    }
}

/// The task definition family of tasks that take this much.
pub(super) fn family_of(demand: &Demand) -> String {
    format!(
        "cpu-{}-memory-{}-gpu-{}",
        demand.cpu.get(),
        demand.memory.get(),
        demand.gpu.get()
    )
}

/// The group of tasks that take this much, as ECS names it when nobody else does.
pub(super) fn group_of(demand: &Demand) -> String {
    format!("family:{}", family_of(demand))
}

fn read_row(row: [Field<'_>; 10], problems: &mut Problems) -> Option<(TaskShape, Entry)> {
    let [
        submit,
        duration,
        cpu,
        memory,
        gpu,
        priority,
        _user,
        count,
        constraint,
        expected,
    ] = row;
    // Every field is looked at, so that all problems of a line are named at once.
    let submit_ms = submit.seconds(SECONDS_MAX, problems);
    let duration_ms = duration.seconds(SECONDS_MAX, problems);
    let cpu_units = cpu.whole(0..=AMOUNT_MAX, problems);
    let memory_mib = memory.whole(MEMORY_MIB_MIN..=AMOUNT_MAX, problems);
    let gpus = gpu.whole(0..=GPUS_MAX, problems);
    let priority = priority.whole(0..=u32::from(Priority::MAX), problems);
    let count = count.whole(1..=TASKS_MAX, problems);
    let expression = read_constraint(&constraint, problems);
    let expected_s = match &*expected.text {
        "" => Some(None),
        _ => expected.whole(1..=EXPECTED_SECONDS_MAX, problems).map(Some),
    };
    let demand = Demand {
        cpu: CpuUnits::new(cpu_units?),
        memory: MemoryMib::new(memory_mib?),
        gpu: GpuCount::new(gpus?),
        ..Demand::default()
    };
    let entry = Entry {
        line: submit.line,
        submit_ms: submit_ms?,
        duration_ms: duration_ms?,
        expected_s: expected_s?,
        priority: u16::try_from(priority?).ok().and_then(Priority::new)?,
        count: count?,
        shape: 0,
    };
    let shape = TaskShape {
        demand,
        constraint: expression?,
    };
    Some((shape, entry))
}

/// The constraint, if there is one; `None` when it cannot be read.
fn read_constraint(field: &Field<'_>, problems: &mut Problems) -> Option<Option<Expression>> {
    if field.text.is_empty() {
        return Some(None);
    }
    match Expression::parse(&field.text) {
        Ok(expression) => Some(Some(expression)),
        Err(error) => {
            problems.in_field(
                field,
                format!("`{}` cannot be used: {error}", csv::shown(&field.text)),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "submit_s,duration_s,cpu_units,memory_mib,gpu,priority,user,count,constraint";

    fn read(rows: &str) -> Result<Workload, String> {
        let text = format!("{HEADER}\n{rows}");
        Workload::parse("tasks.csv", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn tasks_come_in_the_order_of_submission_and_equal_needs_are_one_shape() {
        let rows = "9.5,1,10,100,0,5,ann,3,\n0,60,10,100,0,0,,1,\n0,60,20,100,1,1000,bob,12,\
                    \"attribute:ecs.availability-zone in [a, b]\"";
        let workload = read(rows).unwrap();
        let lines: Vec<_> = workload
            .entries
            .iter()
            .map(|it| (it.line, it.submit_ms, it.shape))
            .collect();
        assert_eq!(lines, [(3, 0, 0), (4, 0, 1), (2, 9_500, 0)]);
        assert_eq!((workload.tasks(), workload.shapes.len()), (16, 2));
        let constraint = workload.shapes[1].constraint.as_ref().unwrap();
        assert_eq!(
            constraint.as_written(),
            "attribute:ecs.availability-zone in [a, b]"
        );
    }

    #[test]
    fn a_bad_value_is_named_with_line_column_value_and_what_to_give() {
        for (row, expected) in [
            (
                "x,1,1,6,0,0,,1,",
                "column 1 (`submit_s`): `x` is not a number of seconds: give seconds, 0 to 315360000",
            ),
            (
                "-1,1,1,6,0,0,,1,",
                "column 1 (`submit_s`): `-1` is out of range: give seconds, 0 to 315360000",
            ),
            ("0,,1,6,0,0,,1,", "column 2 (`duration_s`): empty: give seconds"),
            (
                "0,1,1.5,6,0,0,,1,",
                "column 3 (`cpu_units`): `1.5` is not a whole number: give a whole number, 0 to",
            ),
            ("0,1,-1,6,0,0,,1,", "column 3 (`cpu_units`): `-1` is out of range"),
            (
                "0,1,1,5,0,0,,1,",
                "column 4 (`memory_mib`): `5` is out of range: give a whole number, 6 to 2147483647",
            ),
            (
                "0,1,1,99999999999,0,0,,1,",
                "column 4 (`memory_mib`): `99999999999` is out of range",
            ),
            (
                "0,1,1,6,two,0,,1,",
                "column 5 (`gpu`): `two` is not a whole number",
            ),
            (
                "0,1,1,6,0,1001,,1,",
                "column 6 (`priority`): `1001` is out of range: give a whole number, 0 to 1000",
            ),
            (
                "0,1,1,6,0,0,,0,",
                "column 8 (`count`): `0` is out of range: give a whole number, 1 to 1000000",
            ),
            (
                "0,1,1,6,0,0,,1,attribute:x ==",
                "column 9 (`constraint`): `attribute:x ==` cannot be used: ",
            ),
            ("0,1,1,6,0,0,,1", "line 2: 8 fields, but the header has 9"),
        ] {
            let error = read(row).unwrap_err();
            assert!(error.starts_with("tasks.csv: line 2"), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn all_problems_of_a_file_are_named_at_once() {
        let error = read("x,y,1,6,0,0,,1,\n0,1,1,6,0,0,,1,\n0,1,1,z,0,0,,1,").unwrap_err();
        let places: Vec<&str> = error.lines().filter_map(|line| line.split(" (").next()).collect();
        assert_eq!(
            places,
            [
                "tasks.csv: line 2, column 1",
                "tasks.csv: line 2, column 2",
                "tasks.csv: line 4, column 4"
            ]
        );
    }

    #[test]
    fn a_workload_without_tasks_or_with_too_many_is_refused() {
        assert_eq!(
            read("").unwrap_err(),
            "tasks.csv: no task: give at least one line below the header"
        );
        let error = read("0,1,1,6,0,0,,1000000,\n0,1,1,6,0,0,,1,").unwrap_err();
        assert_eq!(error, "tasks.csv: 1000001 tasks: give at most 1000000");
    }
}
