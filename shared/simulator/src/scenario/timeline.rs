//! What happened in a run, moment by moment, for people.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use berth_scheduler::hold::HoldReason;
use berth_scheduler::waiting::Priority;

use super::fleet::Fleet;
use super::referee::InstanceIndex;

/// What happens within this many milliseconds of a moment belongs to it: a task ends, ECS says so, and the next
/// one starts.
const MOMENT_MS: u64 = 2_500;

/// Reasons of one moment that are shown at most.
const REASONS_MAX: usize = 3;

/// The moments of a run, up to a limit.
#[derive(Clone, Debug)]
pub struct Timeline {
    moments: Vec<Moment>,
    moments_max: usize,
    left_out: usize,
    /// When the last moment that was left out began.
    left_out_at_ms: Option<u64>,
}

/// What happened within [`MOMENT_MS`].
#[derive(Clone, Debug, Default)]
struct Moment {
    at_ms: u64,
    submitted: BTreeMap<Reverse<Priority>, u32>,
    ended: u32,
    started: BTreeMap<Reverse<Priority>, u32>,
    on: BTreeSet<InstanceIndex>,
    waiting: BTreeMap<Reverse<Priority>, u32>,
    held: Vec<Held>,
}

/// Why the first task of a lane waits.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Its place in the order, 1 for the next.
    pub(super) place: u64,
    pub(super) reason: HoldReason,
}

impl Timeline {
    /// A timeline of at most so many moments.
    pub fn of_at_most(moments_max: usize) -> Self {
        Self {
            moments: Vec::new(),
            moments_max,
            left_out: 0,
            left_out_at_ms: None,
        }
    }

    fn moment(&mut self, now_ms: u64) -> Option<&mut Moment> {
        let goes_on = |began_ms: u64| now_ms < began_ms.saturating_add(MOMENT_MS);
        if self.left_out_at_ms.is_some_and(goes_on) {
            return None;
        }
        let is_new = !self.moments.last().is_some_and(|last| goes_on(last.at_ms));
        if is_new && self.moments.len() >= self.moments_max {
            self.left_out += 1;
            self.left_out_at_ms = Some(now_ms);
            return None;
        }
        if is_new {
            self.moments.push(Moment {
                at_ms: now_ms,
                ..Moment::default()
            });
        }
        self.moments.last_mut()
    }

    pub(super) fn submitted(&mut self, now_ms: u64, priority: Priority, count: u32) {
        if let Some(moment) = self.moment(now_ms) {
            *moment.submitted.entry(Reverse(priority)).or_default() += count;
        }
    }

    pub(super) fn ended(&mut self, now_ms: u64) {
        if let Some(moment) = self.moment(now_ms) {
            moment.ended += 1;
        }
    }

    pub(super) fn started(&mut self, now_ms: u64, priority: Priority, on: InstanceIndex) {
        if let Some(moment) = self.moment(now_ms) {
            *moment.started.entry(Reverse(priority)).or_default() += 1;
            moment.on.insert(on);
        }
    }

    /// Whether the moment that goes on now is kept, so that it is worth asking who waits.
    pub(super) fn wants_waiting(&self, now_ms: u64) -> bool {
        self.left_out == 0
            && self
                .moments
                .last()
                .is_some_and(|last| now_ms < last.at_ms.saturating_add(MOMENT_MS))
    }

    /// Who waits at the end of the last moment, and why the first of each lane does.
    pub(super) fn waiting(&mut self, waiting: BTreeMap<Reverse<Priority>, u32>, mut held: Vec<Held>) {
        if let Some(moment) = self.moments.last_mut() {
            held.sort_by_key(|held| held.place);
            moment.waiting = waiting;
            moment.held = held;
        }
    }

    /// The timeline as text, one or more lines for each moment.
    pub fn render(&self, fleet: &Fleet) -> String {
        let mut text = String::new();
        let mut known_reasons = Vec::new();
        for moment in &self.moments {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:>9}  {}",
                clock_time(moment.at_ms),
                moment.describe(fleet)
            );
            let shown = moment.held.iter().take(REASONS_MAX);
            let reasons: Vec<String> = shown.clone().map(|held| describe_reason(&held.reason)).collect();
            for (held, reason) in shown.zip(&reasons) {
                if !known_reasons.contains(reason) {
                    let _ = writeln!(text, "{:>9}  why place {} waits: {reason}", "", held.place);
                }
            }
            let more = moment.held.len().saturating_sub(REASONS_MAX);
            if more > 0 && reasons != known_reasons {
                let _ = writeln!(text, "{:>9}  and {more} more kinds of tasks", "");
            }
            known_reasons = reasons;
        }
        if self.left_out > 0 {
            let _ = writeln!(text, "{:>9}  and {} more moments", "...", self.left_out);
        }
        text
    }
}

impl Moment {
    fn describe(&self, fleet: &Fleet) -> String {
        let mut parts = Vec::new();
        if !self.submitted.is_empty() {
            parts.push(format!("{} submitted", by_priority(&self.submitted)));
        }
        if self.ended > 0 {
            parts.push(format!("{} ended", self.ended));
        }
        if !self.started.is_empty() {
            let mut instances = self.on.iter();
            let place = match (instances.next(), instances.next()) {
                (Some(only), None) => fleet
                    .instances
                    .get(only.0)
                    .map_or("one instance".to_owned(), |it| it.id.to_string()),
                _ => format!("{} instances", self.on.len()),
            };
            parts.push(format!("{} started on {place}", by_priority(&self.started)));
        }
        if self.waiting.is_empty() {
            parts.push("nobody waits".to_owned());
        } else {
            let verb = if self.waiting.values().sum::<u32>() == 1 {
                "waits"
            } else {
                "wait"
            };
            parts.push(format!("{} {verb}", by_priority(&self.waiting)));
        }
        parts.join(", ")
    }
}

/// `15 (priority 90)`, or `15 (priority 90) and 80 (priority 10)`.
fn by_priority(counts: &BTreeMap<Reverse<Priority>, u32>) -> String {
    const PRIORITIES_MAX: usize = 3;
    if counts.len() > PRIORITIES_MAX {
        let total: u64 = counts.values().map(|count| u64::from(*count)).sum();
        return format!("{total} (of {} priorities)", counts.len());
    }
    let each = counts
        .iter()
        .map(|(Reverse(priority), count)| format!("{count} (priority {})", priority.get()));
    each.collect::<Vec<_>>().join(" and ")
}

/// The reason of a lane's first task, without what changes from moment to moment.
fn describe_reason(reason: &HoldReason) -> String {
    let explanation = match reason {
        HoldReason::Shortfall(explanation) => explanation,
        other => return other.to_string(),
    };
    let matching = explanation.matching();
    let instances = if explanation.evaluated == 1 {
        "instance"
    } else {
        "instances"
    };
    let nearest = explanation
        .nearest
        .as_ref()
        .map(|nearest| format!("; nearest miss {}", nearest.shortfall));
    format!(
        "no room on {matching} of {} {instances}{}",
        explanation.evaluated,
        nearest.unwrap_or_default()
    )
}

/// `1:02:03`, and days before that.
pub(super) fn clock_time(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let time = format!("{hours}:{minutes:02}:{:02}", seconds % 60);
    if days > 0 { format!("{days}d {time}") } else { time }
}
