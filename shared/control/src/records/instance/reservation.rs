//! Reservations and other tasks in words; the module above tells the grammar.

use berth_scheduler::id::{AttemptId, ContainerInstanceArn, ReportVersion, TaskFamily, TaskGroup};
use berth_scheduler::reservation::{
    OtherTask, PlacedTask, ReportInclusion, Reservation, ReservationState, TaskStage,
};
use berth_scheduler::resources::Demand;
use berth_scheduler::run_time::{RunOutlook, RunSeconds, family_of_group};
use berth_scheduler::timestamp::Timestamp;

use super::amounts::{demand_text, read_demand};
use super::names::{read_task_name, task_name};
use super::words::{Words, whole, with_unit};

const VERSION: &str = "the version of a report";

/// What the texts of a record leave out because the record tells it once.
pub(super) struct Context<'a> {
    pub(super) instance: &'a ContainerInstanceArn,
    pub(super) registered_at: Option<Timestamp>,
}

/// What reservations of tasks of one kind have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaskKind {
    pub(super) demand: Demand,
    pub(super) group: TaskGroup,
    pub(super) outlook: RunOutlook,
}

impl TaskKind {
    /// The family is that of the default group, unless both are told.
    pub(super) fn text(of: &Reservation) -> String {
        let by_group = family_of_group(&of.group);
        let family = of.outlook.family.as_ref();
        let is_default = by_group.is_some() && family.is_none_or(|family| by_group.as_ref() == Some(family));
        let named = family.or(by_group.as_ref().filter(|_| is_default));
        let mut text = named.map_or("?", TaskFamily::as_str).to_owned();
        text += " ";
        text += &demand_text(&of.demand);
        if let Some(expected) = of.outlook.expected {
            text += &format!(" ~{}s", expected.get());
        }
        if let Some(timeout) = of.outlook.timeout {
            text += &format!(" <{}s", timeout.get());
        }
        if !is_default {
            text += &format!(" group {}", of.group);
        }
        text
    }

    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut words = Words::of(text);
        let family = words.next("a family or `?`", |word| match word {
            "?" => Some(None),
            word => TaskFamily::parse(word).ok().map(Some),
        })?;
        let demand = read_demand(&mut words)?;
        let expected = words.next_if(|word| seconds(word, '~'));
        let timeout = words.next_if(|word| seconds(word, '<'));
        let group = if words.takes("group") {
            read_group(words.rest("a group")?)?
        } else {
            words.end(
                "more of the demand like `1g`, `1e`, `tcp80`, `udp53`, then run times like `~60s`, `<90s`, \
                 then `group`, or the end",
            )?;
            let family = family
                .as_ref()
                .ok_or("it has neither a family nor a group: `group` is expected")?;
            read_group(&format!("family:{family}"))?
        };
        Ok(Self {
            demand,
            outlook: RunOutlook {
                family: family.or_else(|| family_of_group(&group)),
                expected,
                timeout,
            },
            group,
        })
    }
}

fn seconds(word: &str, sign: char) -> Option<RunSeconds> {
    with_unit(word.strip_prefix(sign)?, 's').and_then(RunSeconds::new)
}

fn read_group(text: &str) -> Result<TaskGroup, String> {
    TaskGroup::parse(text).map_err(|error| error.to_string())
}

/// `ATTEMPT/TASK-ID`: the `startedBy` without what all have.
pub(super) fn attempt_text(attempt: &AttemptId) -> String {
    format!("{}/{}", attempt.number, attempt.task)
}

pub(super) fn read_attempt(text: &str) -> Option<AttemptId> {
    AttemptId::from_started_by(&format!("berth/{text}")).filter(|attempt| attempt_text(attempt) == text)
}

pub(super) fn state_text(of: &Reservation, context: &Context<'_>) -> String {
    let version = of.reserved_at_version;
    match &of.state {
        ReservationState::Pending => format!("{version} pending"),
        ReservationState::Placed(placed) => {
            let created = created_text(placed.created_at, context.registered_at);
            let task = task_name(&placed.task, context.instance);
            let report = match placed.report {
                ReportInclusion::NotYet => "",
                ReportInclusion::Included => " reported",
            };
            let stage = stage_text(placed.stage);
            format!("{version} {created} {task}{report}{stage}")
        }
    }
}

pub(super) fn read_state(
    text: &str,
    context: &Context<'_>,
) -> Result<(ReportVersion, ReservationState), String> {
    let mut words = Words::of(text);
    let version = ReportVersion::new(words.next(VERSION, whole)?);
    if words.takes("pending") {
        words.end("the end")?;
        return Ok((version, ReservationState::Pending));
    }
    let created_at = words.next("`pending`, or the time of creation,", Some)?;
    let created_at = read_created(created_at, context.registered_at)?;
    let task = words.next("the id or ARN of a task", Some)?;
    let task = read_task_name(task, context.instance)?;
    let report = if words.takes("reported") {
        ReportInclusion::Included
    } else {
        ReportInclusion::NotYet
    };
    let stage = read_stage(&mut words);
    words.end("`reported`, then `stopping`, or the end")?;
    let placed = PlacedTask {
        task,
        created_at,
        report,
        stage,
    };
    Ok((version, ReservationState::Placed(placed)))
}

pub(super) fn other_text(task: &OtherTask) -> String {
    let demand = demand_text(&task.demand);
    let stage = stage_text(task.stage);
    format!("{} {demand}{stage} group {}", task.version, task.group)
}

pub(super) fn read_other(text: &str) -> Result<OtherTask, String> {
    let mut words = Words::of(text);
    let version = ReportVersion::new(words.next(VERSION, whole)?);
    let demand = read_demand(&mut words)?;
    let stage = read_stage(&mut words);
    words.next(
        "more of the demand like `1g`, `1e`, `tcp80`, `udp53`, then `stopping`, then `group`",
        |word| (word == "group").then_some(()),
    )?;
    Ok(OtherTask {
        demand,
        group: read_group(words.rest("a group")?)?,
        version,
        stage,
    })
}

const fn stage_text(stage: TaskStage) -> &'static str {
    match stage {
        TaskStage::Running => "",
        TaskStage::Stopping => " stopping",
    }
}

fn read_stage(words: &mut Words<'_>) -> TaskStage {
    if words.takes("stopping") {
        TaskStage::Stopping
    } else {
        TaskStage::Running
    }
}

/// In milliseconds, after the instance was registered where that can be told, else since 1970.
fn created_text(created_at: Timestamp, registered_at: Option<Timestamp>) -> String {
    match registered_at.filter(|registered_at| *registered_at <= created_at) {
        Some(registered_at) => format!("+{}", created_at.millis_since(registered_at)),
        None => format!("@{}", created_at.as_millis()),
    }
}

fn read_created(text: &str, registered_at: Option<Timestamp>) -> Result<Timestamp, String> {
    let millis = if let Some(after) = text.strip_prefix('+') {
        let registered_at =
            registered_at.ok_or_else(|| format!("`{text}` counts from `registeredAt`, which is missing"))?;
        whole::<i64>(after).and_then(|after| registered_at.as_millis().checked_add(after))
    } else {
        let (sign, digits) = match text.strip_prefix("@-") {
            Some(digits) => (-1, Some(digits)),
            None => (1, text.strip_prefix('@')),
        };
        digits
            .and_then(whole::<i64>)
            .map(|millis| millis.saturating_mul(sign))
    };
    let timestamp = millis.map(|millis| (millis, Timestamp::from_millis(millis)));
    // What is out of range would be read as the nearest that is not.
    let timestamp = timestamp.filter(|(millis, timestamp)| timestamp.as_millis() == *millis);
    timestamp.map(|(_, timestamp)| timestamp).ok_or_else(|| {
        format!(
            "`{text}` where milliseconds after `registeredAt` like `+90500`, or since 1970 like \
             `@1795255202000`, are expected"
        )
    })
}
