//! What Berth costs: calls of RunTask and DynamoDB request units for each task, at three loads.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::berth::run;
use super::policies::{Ends, Story};
use super::{ScenarioError, Timeline, Waiting};
use crate::memory::{Metering, Write};

/// Loads that are played: work in percent of what the cluster can do.
const LOADS_PERCENT: [u32; 3] = [60, 90, 120];

/// Container instances of the cluster, with room for eight tasks each.
const INSTANCES: usize = 20;

/// What came of one load.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// Work in percent of what the cluster can do.
    pub load_percent: u32,
    /// Tasks that were started and played to their end.
    pub tasks: usize,
    /// Calls of RunTask for each.
    pub run_task_calls: f64,
    /// Write units for each, by what was written.
    pub write_units: Vec<(Write, f64)>,
    /// Read units for each.
    pub read_units: f64,
}

impl LoadReport {
    /// Write units for each task, all together.
    pub fn write_units_in_all(&self) -> f64 {
        self.write_units.iter().map(|(_, units)| units).sum()
    }
}

/// How many loads there are.
pub const LOADS: usize = LOADS_PERCENT.len();

/// Plays every load for so many hours of submissions. `progress` is told after each.
///
/// # Errors
/// When a run cannot be finished.
pub fn measure(hours: u64, progress: &dyn Fn()) -> Result<Vec<LoadReport>, ScenarioError> {
    let mut reports = Vec::new();
    for load_percent in LOADS_PERCENT {
        reports.push(measure_one(hours, load_percent)?);
        progress();
    }
    Ok(reports)
}

fn measure_one(hours: u64, load_percent: u32) -> Result<LoadReport, ScenarioError> {
    let scenario = Story::steady(INSTANCES, hours, load_percent).replica(1, Ends::Learnt);
    let waiting = Waiting {
        metering: Metering::On,
        ..Waiting::default()
    };
    let (played, _) = run(&scenario, waiting, Timeline::of_at_most(0), &|_, _| {})?;
    let measures = played.measures;
    let of_each = |count: u64| count as f64 / measures.tasks.max(1) as f64;
    let units = measures.request_units.unwrap_or_default();
    let write_units = Write::ALL.map(|write| {
        (
            write,
            of_each(units.writes.get(&write).copied().unwrap_or_default()),
        )
    });
    Ok(LoadReport {
        load_percent,
        tasks: measures.tasks,
        run_task_calls: of_each(measures.run_task_calls),
        write_units: write_units.to_vec(),
        read_units: of_each(units.read_halves) / 2.0,
    })
}

/// The reports as a table.
pub fn to_table(reports: &[LoadReport]) -> String {
    let mut text = format!("{:<28}", "load");
    let row = |text: &mut String, name: &str, figure: &dyn Fn(&LoadReport) -> String| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{name:<28}");
        for report in reports {
            let _ = write!(text, "{:>10}", figure(report));
        }
    };
    for report in reports {
        let _ = write!(text, "{:>8} %", report.load_percent);
    }
    row(&mut text, "tasks", &|it| it.tasks.to_string());
    row(&mut text, "RunTask calls per task", &|it| {
        format!("{:.3}", it.run_task_calls)
    });
    row(&mut text, "write units per task", &|it| {
        format!("{:.2}", it.write_units_in_all())
    });
    for (at, write) in Write::ALL.iter().enumerate() {
        row(&mut text, &format!("  {}", write.name()), &|it| {
            let units = it.write_units.get(at).map_or(0.0, |(_, units)| *units);
            format!("{units:.2}")
        });
    }
    row(&mut text, "read units per task", &|it| {
        format!("{:.1}", it.read_units)
    });
    text.push('\n');
    text
}

/// The reports as one JSON object.
pub fn to_json(reports: &[LoadReport]) -> Value {
    let rounded = |number: f64| (number * 1_000.0).round() / 1_000.0;
    let load = |it: &LoadReport| {
        let of_each = it.write_units.iter();
        let of_each: serde_json::Map<String, Value> = of_each
            .map(|(write, units)| (write.name().to_owned(), json!(rounded(*units))))
            .collect();
        json!({
            "loadPercent": it.load_percent,
            "tasks": it.tasks,
            "runTaskCallsPerTask": rounded(it.run_task_calls),
            "writeUnitsPerTask": rounded(it.write_units_in_all()),
            "writeUnits": of_each,
            "readUnitsPerTask": rounded(it.read_units),
        })
    };
    json!({ "loads": reports.iter().map(load).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_costs_one_call_and_no_more_write_units_than_the_documentation_tells() {
        let reports = measure(1, &|| {}).unwrap();
        for report in &reports {
            assert!(report.tasks > 1_000, "{report:?}");
            assert!(report.run_task_calls <= 1.05, "{report:?}");
            assert!(report.write_units_in_all() <= 12.0, "{report:?}");
            // The least there is: a task and its room, each written when it is taken, started and ended.
            assert!(report.write_units_in_all() >= 6.0, "{report:?}");
            assert!(report.read_units >= 6.0, "{report:?}");
        }
    }
}
