//! What a report of ECS changes in a capacity record.

use std::collections::BTreeMap;

use super::remaining::ReportAge;
use super::{InstanceRecord, InstanceState, Remaining};
use crate::attributes::Fingerprint;
use crate::eni;
use crate::id::{AttemptId, ReportVersion, Revision};
use crate::report::{InstanceReport, InstanceStatus, ReportSource};
use crate::reservation::{ReportInclusion, ReservationState};
use crate::resources::Resources;
use crate::timestamp::Timestamp;

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It is news: this record replaces the stored one.
    Updated(Box<InstanceRecord>),
    /// It is newer, and tells only what follows from the record: it need not be stored.
    Expected,
    /// It repeats what is stored. The wake-up behind it may still be lost, so it must be repeated.
    Unchanged,
    /// It is older than what is stored.
    Stale,
}

/// Applies a report of ECS to the stored record, if there is one. A higher version wins; an equal one can
/// still bring attributes, which change without a new version, and tells which of our tasks it counts.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwet_handling.html>
pub fn observe(stored: Option<&InstanceRecord>, report: &InstanceReport) -> Observed {
    let Some(stored) = stored else {
        return Observed::Updated(Box::new(InstanceRecord::from_state(first_state(report))));
    };
    let newest = stored.state();
    if report.version < newest.version {
        return Observed::Stale;
    }
    // INACTIVE is the end of a container instance: whoever registers again gets a new ARN. Only what ECS
    // answers to a question of ours can correct a tombstone that was set by mistake.
    if newest.status == InstanceStatus::Inactive && report.source == ReportSource::Event {
        return Observed::Stale;
    }
    let mut state = newest.clone();
    if report.version > newest.version || newest.status == InstanceStatus::Inactive {
        take_report(&mut state, report);
    }
    if report.version == newest.version && report.source != ReportSource::Event {
        // Worked out anew: one of our tasks may have been taken for somebody else's, and nothing else may ever tell.
        state.remaining = Remaining::reported(report.remaining.clone());
        state.running_tasks = report.running_tasks;
    }
    // A described version has no time; its event, which may come later, has.
    if state.updated_at.is_none() {
        state.updated_at = report.updated_at;
    }
    take_attributes(&mut state, report);
    mark_counted(&mut state, report);
    let amounts = work_out_remaining(&mut state, newest, report);
    if state == *newest {
        return Observed::Unchanged;
    }
    if state.version > newest.version {
        let tells_nothing_else = tells_nothing_else(&state, newest);
        match (amounts, &newest.remaining) {
            (AmountsOf::OldReport, _) if tells_nothing_else => return Observed::Stale,
            (AmountsOf::OldReport, before) => state.remaining = before.in_doubt(report.remaining.clone()),
            (AmountsOf::Report, Remaining::Besides(_)) if tells_nothing_else => return Observed::Expected,
            (AmountsOf::Report, _) => {}
        }
    }
    state.revision = state.revision.next();
    Observed::Updated(Box::new(InstanceRecord::from_state(state)))
}

fn first_state(report: &InstanceReport) -> InstanceState {
    let mut state = InstanceState {
        instance: report.instance.clone(),
        ec2_instance_id: None,
        status: report.status,
        agent: report.agent,
        agent_version: None,
        version: report.version,
        updated_at: None,
        registered_at: None,
        registered: Resources::default(),
        remaining: Remaining::default(),
        ended_at: None,
        running_tasks: 0,
        eni_limit: None,
        attributes: Fingerprint::default(),
        reservations: BTreeMap::new(),
        other_tasks: BTreeMap::new(),
        revision: Revision::new(1),
    };
    take_report(&mut state, report);
    take_attributes(&mut state, report);
    let unknown = InstanceState {
        remaining: Remaining::reported(report.remaining.clone()),
        ..state.clone()
    };
    work_out_remaining(&mut state, &unknown, report);
    state
}

/// Whether the amounts of a report can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AmountsOf {
    /// Yes.
    Report,
    /// The report may be older than what is known of our tasks, and cannot be explained by it.
    OldReport,
}

/// Works out what others use, as far as that is certain, from the report that was taken in.
fn work_out_remaining(
    state: &mut InstanceState,
    newest: &InstanceState,
    report: &InstanceReport,
) -> AmountsOf {
    let Remaining::Reported(reported) = &state.remaining else {
        return AmountsOf::Report;
    };
    let age = age_of(report, newest);
    let Some(remaining) = newest.remaining.after_report(&reported.remaining, state, age) else {
        state.remaining = newest.remaining.clone();
        state.running_tasks = newest.running_tasks;
        return AmountsOf::OldReport;
    };
    if let Remaining::Besides(others) = &remaining {
        state.running_tasks = if remaining == newest.remaining {
            newest.running_tasks
        } else if *others == Resources::default() && !state.reservations.is_empty() {
            0
        } else {
            let ours = state.reservations.values().filter(|it| !it.is_stopping());
            let ours = u32::try_from(ours.count()).unwrap_or(u32::MAX);
            state.running_tasks.saturating_sub(ours)
        };
    }
    state.remaining = remaining;
    AmountsOf::Report
}

/// How old a report is beside what is known of our tasks. A report that was made before one of them ended may count
/// it; and what was recorded while ECS was asked may or may not be in the answer.
fn age_of(report: &InstanceReport, newest: &InstanceState) -> ReportAge {
    match &report.source {
        ReportSource::Event => match (report.updated_at, newest.ended_at) {
            (Some(made), Some(ended)) if made < ended => ReportAge::MayBeOlder,
            _ => ReportAge::OfAnEvent,
        },
        ReportSource::Described { revision_before, .. } if *revision_before == Some(newest.revision) => {
            ReportAge::AskedFor
        }
        ReportSource::Described { .. } => ReportAge::MayBeOlder,
    }
}

/// Whether a newer report tells nothing but what the record tells already: the use by others is what it was, and the
/// rest of what is used is ours. Which of our tasks it counts is worked out for each report anew.
fn tells_nothing_else(state: &InstanceState, newest: &InstanceState) -> bool {
    let as_it_was = InstanceState {
        version: newest.version,
        updated_at: newest.updated_at,
        running_tasks: newest.running_tasks,
        reservations: newest.reservations.clone(),
        ..state.clone()
    };
    as_it_was == *newest
}

fn take_report(state: &mut InstanceState, report: &InstanceReport) {
    state.status = report.status;
    state.agent = report.agent;
    state.version = report.version;
    state.updated_at = report.updated_at;
    state.registered = report.registered.clone();
    state.remaining = Remaining::reported(report.remaining.clone());
    state.running_tasks = report.running_tasks;
    // What a report may leave out keeps its last known value.
    if report.ec2_instance_id.is_some() {
        state.ec2_instance_id.clone_from(&report.ec2_instance_id);
    }
    if report.agent_version.is_some() {
        state.agent_version.clone_from(&report.agent_version);
    }
    if report.registered_at.is_some() {
        state.registered_at = report.registered_at;
    }
}

/// The first event of an instance has an empty attribute list: an empty one never replaces a known one.
fn take_attributes(state: &mut InstanceState, report: &InstanceReport) {
    if let Some(attributes) = report
        .attributes
        .as_ref()
        .filter(|attributes| !attributes.is_empty())
    {
        state.attributes = attributes.fingerprint();
        state.eni_limit = eni::task_limit(attributes);
    }
}

/// Marks which of our placed tasks the newest report counts. Once counted, a task is counted in every later
/// report until it ends, so the mark is never taken back.
fn mark_counted(state: &mut InstanceState, report: &InstanceReport) {
    let placed_before: &[AttemptId] = match &report.source {
        ReportSource::Event => &[],
        ReportSource::Described { placed_before, .. } => placed_before,
    };
    let (version, updated_at) = (state.version, state.updated_at);
    for (attempt, reservation) in &mut state.reservations {
        let reserved_at_version = reservation.reserved_at_version;
        if let ReservationState::Placed(placed) = &mut reservation.state
            && version > reserved_at_version
            && (placed_before.contains(attempt) || updated_at.is_some_and(|at| at >= placed.created_at))
        {
            placed.report = ReportInclusion::Included;
        }
    }
}

pub(super) fn report_counts(
    state: &InstanceState,
    reserved_at_version: ReportVersion,
    created_at: Timestamp,
) -> bool {
    state.version > reserved_at_version && state.updated_at.is_some_and(|at| at >= created_at)
}
