//! The stories' figures as a table for people and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Figure, PolicyReport, StoryReport, VariantReport};

impl PolicyReport {
    /// The report as tables.
    pub fn to_table(&self) -> String {
        let mut text = String::new();
        for story in &self.stories {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{}.\n{} instances of 8 units, {} hours, {} replicas:",
                story.story.title, story.story.instances, story.story.hours, self.replicas
            );
            let _ = writeln!(
                text,
                "{:<26}{:>22}{:>18}{:>20}{:>17}",
                "", "mean wait of the large", "started in time", "utilisation", "inverted starts"
            );
            for variant in &story.variants {
                let _ = writeln!(text, "{}", line(variant));
            }
            text.push('\n');
        }
        text
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> Value {
        let stories: Vec<Value> = self.stories.iter().map(story_json).collect();
        json!({ "replicas": self.replicas, "stories": stories })
    }
}

fn line(report: &VariantReport) -> String {
    let wait = report.wait_text();
    let started = format!("{} of {}", report.large_started, report.large);
    let used = report.utilisation_percent;
    let used = format!("{:.1} % ± {:.1}", used.mean, used.deviation);
    format!(
        "{:<26}{wait:>22}{started:>18}{used:>20}{:>17}",
        report.variant.title, report.inverted_starts
    )
}

fn story_json(report: &StoryReport) -> Value {
    let figure =
        |figure: Figure| json!({ "mean": rounded(figure.mean), "deviation": rounded(figure.deviation) });
    let variants = report.variants.iter().map(|it| {
        json!({
            "name": it.variant.name,
            "waitSeconds": figure(it.wait_s),
            "largeTasks": it.large,
            "largeTasksStarted": it.large_started,
            "utilisationPercent": figure(it.utilisation_percent),
            "invertedStarts": it.inverted_starts,
        })
    });
    json!({
        "name": report.story.name,
        "instances": report.story.instances,
        "hours": report.story.hours,
        "variants": variants.collect::<Vec<_>>(),
    })
}

/// To two digits after the point.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
