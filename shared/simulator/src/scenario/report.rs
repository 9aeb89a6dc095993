//! The result of a comparison: a table for people, one JSON object for programs.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use berth_scheduler::waiting::Priority;
use serde_json::{Map, Number, Value, json};

use super::measures::WaitSummary;
use super::{Comparison, SchedulerRun};
use crate::seconds::write_millis;

/// Priorities whose waits the table shows at most; JSON has them all.
const PRIORITIES_MAX: usize = 12;

/// Kinds of tasks that never started that are listed at most.
const NEVER_STARTED_MAX: usize = 10;

/// Whether the output may use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// It goes to a terminal.
    On,
    /// It goes anywhere else.
    Off,
}

/// A line of the table: its label, and where its number comes from.
type Figure<T> = (&'static str, fn(&T) -> u64);

impl Comparison {
    /// The comparison as one JSON object.
    pub fn to_json(&self) -> Value {
        let schedulers: Vec<Value> = self.runs.iter().map(|run| self.run_json(run)).collect();
        json!({ "schedulers": schedulers })
    }

    fn run_json(&self, run: &SchedulerRun) -> Value {
        let measures = &run.measures;
        let mut waits = Map::new();
        for (Reverse(priority), waits_ms) in &measures.waits_ms {
            let summary = WaitSummary::of(waits_ms);
            let entry = json!({
                "tasks": summary.tasks,
                "mean": seconds(summary.mean_ms),
                "p95": seconds(summary.p95_ms),
                "max": seconds(summary.max_ms),
            });
            waits.insert(priority.get().to_string(), entry);
        }
        let mut object = json!({
            "name": run.scheduler.name(),
            "tasks": measures.tasks,
            "runTaskCalls": measures.run_task_calls,
            "refused": measures.refused,
            "invertedStarts": measures.inverted_starts,
            "makespanSeconds": seconds(measures.makespan_ms),
            "lowerBoundSeconds": seconds(self.lower_bound_ms),
            "waitSeconds": waits,
        });
        if measures.never_started > 0
            && let Some(fields) = object.as_object_mut()
        {
            fields.insert("neverStarted".to_owned(), measures.never_started.into());
        }
        object
    }

    /// The comparison as a table, and below it what never started.
    pub fn to_table(&self, colours: Colours) -> String {
        let mut table = Table::default();
        table.row("", self.runs.iter().map(|run| run.scheduler.title().to_owned()));
        let counts: [Figure<SchedulerRun>; 3] = [
            ("RunTask calls", |run| run.measures.run_task_calls),
            ("  refused by ECS", |run| run.measures.refused),
            ("inverted starts", |run| run.measures.inverted_starts),
        ];
        for (label, count) in counts {
            table.row(label, self.runs.iter().map(|run| grouped(count(run))));
        }
        table.row(
            "makespan",
            self.runs
                .iter()
                .map(|run| whole_seconds(run.measures.makespan_ms)),
        );
        table.row(
            "  of its lower bound",
            self.runs.iter().map(|run| self.ratio(run)),
        );
        for priority in self.priorities().into_iter().take(PRIORITIES_MAX) {
            let summaries: Vec<Option<WaitSummary>> = self
                .runs
                .iter()
                .map(|run| {
                    run.measures
                        .waits_ms
                        .get(&priority)
                        .map(|waits| WaitSummary::of(waits))
                })
                .collect();
            let tasks = summaries
                .iter()
                .flatten()
                .map(|summary| summary.tasks)
                .max()
                .unwrap_or(0);
            let tasks = if tasks == 1 {
                "1 task".to_owned()
            } else {
                format!("{} tasks", grouped(tasks as u64))
            };
            let label = format!("wait, priority {} ({tasks})", priority.0.get());
            table.row(&label, self.runs.iter().map(|_| String::new()));
            let parts: [Figure<WaitSummary>; 3] = [
                ("  mean", |it| it.mean_ms),
                ("  p95", |it| it.p95_ms),
                ("  max", |it| it.max_ms),
            ];
            for (label, part) in parts {
                table.row(
                    label,
                    summaries
                        .iter()
                        .map(|it| it.as_ref().map_or("-".to_owned(), |it| whole_seconds(part(it)))),
                );
            }
        }
        let mut text = table.render(colours);
        let hidden = self.priorities().len().saturating_sub(PRIORITIES_MAX);
        if hidden > 0 {
            let _ = writeln!(text, "and {hidden} more priorities: see them all with --json");
        }
        let bound = whole_seconds(self.lower_bound_ms);
        let _ = writeln!(
            text,
            "\nNo scheduler could be done before {bound} (the makespan's lower bound)."
        );
        text.push_str(&self.never_started_text());
        text
    }

    fn ratio(&self, run: &SchedulerRun) -> String {
        let hundredths = run
            .measures
            .makespan_ms
            .saturating_mul(100)
            .checked_div(self.lower_bound_ms);
        hundredths.map_or("-".to_owned(), |it| format!("{}.{:02} x", it / 100, it % 100))
    }

    fn priorities(&self) -> BTreeSet<Reverse<Priority>> {
        self.runs
            .iter()
            .flat_map(|run| run.measures.waits_ms.keys().copied())
            .collect()
    }

    fn never_started_text(&self) -> String {
        let mut text = String::new();
        for run in &self.runs {
            if run.measures.never_started == 0 {
                continue;
            }
            let (title, count) = (run.scheduler.title(), grouped(run.measures.never_started as u64));
            let _ = writeln!(text, "\n{title}: {count} never started:");
            for kind in run.never_started.iter().take(NEVER_STARTED_MAX) {
                let tasks = if kind.tasks == 1 { "task" } else { "tasks" };
                let _ = writeln!(
                    text,
                    "  {} {tasks} from line {}: {}",
                    grouped(u64::from(kind.tasks)),
                    kind.first_line,
                    kind.reason.as_deref().unwrap_or("refused by ECS each time"),
                );
            }
            let more = run.never_started.len().saturating_sub(NEVER_STARTED_MAX);
            if more > 0 {
                let _ = writeln!(text, "  and {more} more kinds of tasks");
            }
        }
        text
    }
}

/// Seconds as a JSON number, whole where they are.
fn seconds(ms: u64) -> Value {
    let text = write_millis(ms);
    let number = text.parse::<u64>().map(Number::from).ok();
    number
        .or_else(|| text.parse().ok().and_then(Number::from_f64))
        .map_or(Value::Null, Value::Number)
}

/// `7,206 s`.
fn whole_seconds(ms: u64) -> String {
    format!("{} s", grouped(ms.saturating_add(500) / 1_000))
}

/// `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len().saturating_sub(position)).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rows of a label and right-aligned columns.
#[derive(Debug, Default)]
struct Table {
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    fn row(&mut self, label: &str, cells: impl Iterator<Item = String>) {
        self.rows.push((label.to_owned(), cells.collect()));
    }

    fn render(&self, colours: Colours) -> String {
        let width =
            |texts: &mut dyn Iterator<Item = &String>| texts.map(|it| it.chars().count()).max().unwrap_or(0);
        let label_width = width(&mut self.rows.iter().map(|(label, _)| label));
        let cell_width = width(&mut self.rows.iter().flat_map(|(_, cells)| cells)).saturating_add(4);
        let mut text = String::new();
        for (position, (label, cells)) in self.rows.iter().enumerate() {
            let mut line = format!("{label:<label_width$}");
            for cell in cells {
                let _ = write!(line, "{cell:>cell_width$}");
            }
            let line = line.trim_end();
            match colours {
                Colours::On if position == 0 => {
                    let _ = writeln!(text, "\u{1b}[1m{line}\u{1b}[0m");
                }
                Colours::On | Colours::Off => {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let texts = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn seconds_are_whole_numbers_where_they_are() {
        assert_eq!(seconds(12_000).to_string(), "12");
        assert_eq!(seconds(12_250).to_string(), "12.25");
        assert_eq!(seconds(0).to_string(), "0");
    }
}
