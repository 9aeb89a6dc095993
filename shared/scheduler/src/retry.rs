//! What follows the end of a task: success, failure, or another run. The rules are those that users of AWS Batch
//! know, with the loss of a host and the shortage of memory as cases of their own.
//! <https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html>

use crate::quantity::MemoryMib;
use crate::report::TaskEnd;

/// The reason of an end that nobody saw: ECS has forgotten the task. It may have succeeded, so it is not run again
/// unless a rule says so.
pub const UNSEEN_END: &str = "ended unseen: ECS no longer knows the task";

/// Runs of a task at most, as for AWS Batch.
pub const ATTEMPTS_MAX: u8 = 10;

/// Entries of `evaluateOnExit` at most, as for AWS Batch.
pub const EVALUATIONS_MAX: usize = 5;

/// Hosts that a task may lose before it counts as failed: one that brings its instances down itself must not
/// take the whole cluster with it.
pub const HOST_LOSSES_MAX: u8 = 10;

/// Characters of a pattern at most, as for AWS Batch.
pub const PATTERN_CHARACTERS_MAX: usize = 512;

/// When a task that has ended is run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryStrategy {
    /// Runs at most, 1 to [`ATTEMPTS_MAX`]; runs that lost their host are not counted.
    pub attempts: u8,
    /// Looked at in order when a run has failed; the first that matches decides. Without a match the task is run
    /// again while attempts are left.
    pub evaluate_on_exit: Vec<EvaluateOnExit>,
    /// What a run that ran out of memory gets the next time.
    pub on_out_of_memory: Option<MemoryGrowth>,
}

impl Default for RetryStrategy {
    /// One run.
    fn default() -> Self {
        Self {
            attempts: 1,
            evaluate_on_exit: Vec::new(),
            on_out_of_memory: None,
        }
    }
}

/// One rule for failed runs. Every pattern that is given must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluateOnExit {
    /// Matched against the exit code in decimal.
    pub on_exit_code: Option<Pattern>,
    /// Matched against the reason of the container that failed, such as `OutOfMemoryError: ...`.
    pub on_reason: Option<Pattern>,
    /// Matched against the task's `stoppedReason`.
    pub on_status_reason: Option<Pattern>,
    /// What to do when it matches.
    pub action: ExitAction,
}

/// What a rule for failed runs says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitAction {
    /// Run the task again while attempts are left.
    Retry,
    /// The task has failed.
    Exit,
}

/// More memory for the run after one that ran out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryGrowth {
    /// How much more each time, in percent of what it had.
    pub increase_percent: u16,
    /// MiB that no run gets more than.
    pub maximum: MemoryMib,
}

/// A text in which `*` stands for any characters, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern; `None` when the text is empty or too long.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && text.chars().count() <= PATTERN_CHARACTERS_MAX).then(|| Self(text.to_owned()))
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole text matches, upper and lower case apart.
    pub fn matches(&self, text: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let Some(last) = pieces.next_back() else {
            // No star at all: the first piece is everything.
            return rest.is_empty();
        };
        // Each piece is taken where it comes first, which leaves the most for those behind it.
        for piece in pieces {
            match rest.split_once(piece) {
                Some((_, behind)) => rest = behind,
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// How often a task has run to an end that was no success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCount {
    /// Runs that failed.
    pub failed: u8,
    /// Runs that lost their host.
    pub hosts_lost: u8,
}

/// What follows a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterRun {
    /// The task has done its work.
    Succeeded,
    /// The task is given back its old place.
    RunAgain {
        /// The runs so far.
        runs: RunCount,
        /// Whether the next run needs more memory.
        memory: MemoryNeed,
        /// Why, for people.
        reason: String,
    },
    /// The task has failed.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// Whether a task that is run again needs more memory than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryNeed {
    /// What it had.
    #[default]
    Same,
    /// More: the last run ran out of it.
    More,
}

/// How a run ended, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunEnd {
    Success,
    /// The instance went away below the task.
    HostLost,
    /// Somebody called StopTask.
    StoppedByRequest,
    /// Nobody knows how.
    Unseen,
    OutOfMemory,
    Failure,
}

impl RetryStrategy {
    /// Decides what follows a run that ended like this after `before`.
    pub fn after_run(&self, end: &TaskEnd, before: RunCount) -> AfterRun {
        let kind = kind_of(end);
        let reason = reason_of(end, kind);
        if kind == RunEnd::Success {
            return AfterRun::Succeeded;
        }
        let ruled = self
            .evaluate_on_exit
            .iter()
            .find(|rule| rule.matches(end))
            .map(|rule| rule.action);
        let runs = if kind == RunEnd::HostLost {
            RunCount {
                hosts_lost: before.hosts_lost.saturating_add(1),
                ..before
            }
        } else {
            RunCount {
                failed: before.failed.saturating_add(1),
                ..before
            }
        };
        let again = match (ruled, kind) {
            (Some(ExitAction::Exit), _) => false,
            (_, RunEnd::HostLost) => runs.hosts_lost <= HOST_LOSSES_MAX,
            // Whoever stopped it does not want it back, and one that nobody saw end may have succeeded: neither is
            // run again unless a rule says so.
            (None, RunEnd::StoppedByRequest | RunEnd::Unseen) => false,
            _ => runs.failed < self.attempts,
        };
        if !again {
            return AfterRun::Failed { reason };
        }
        let memory = match (kind, self.on_out_of_memory) {
            (RunEnd::OutOfMemory, Some(_)) => MemoryNeed::More,
            _ => MemoryNeed::Same,
        };
        AfterRun::RunAgain { runs, memory, reason }
    }
}

impl EvaluateOnExit {
    fn matches(&self, end: &TaskEnd) -> bool {
        let code = end.exit_code.map(|code| code.to_string());
        let holds = |pattern: &Option<Pattern>, text: Option<&str>| {
            pattern
                .as_ref()
                .is_none_or(|pattern| text.is_some_and(|text| pattern.matches(text)))
        };
        holds(&self.on_exit_code, code.as_deref())
            && holds(&self.on_reason, end.container_reason.as_deref())
            && holds(&self.on_status_reason, end.stopped_reason.as_deref())
    }
}

impl MemoryGrowth {
    /// The memory for the next run; `None` when there is no more to give.
    pub fn next(self, memory: MemoryMib) -> Option<MemoryMib> {
        let percent = u64::from(self.increase_percent).saturating_add(100);
        // Rounded up, so that a small amount grows too.
        let grown = u64::from(memory.get()).saturating_mul(percent).div_ceil(100);
        let grown = u32::try_from(grown).unwrap_or(u32::MAX);
        let next = MemoryMib::new(grown).min(self.maximum);
        (next > memory).then_some(next)
    }
}

fn kind_of(end: &TaskEnd) -> RunEnd {
    let code = end.stop_code.as_deref().unwrap_or_default();
    if is_host_loss(code, end.stopped_reason.as_deref().unwrap_or_default()) {
        RunEnd::HostLost
    } else if end.stopped_reason.as_deref() == Some(UNSEEN_END) {
        RunEnd::Unseen
    } else if code == "UserInitiated" {
        RunEnd::StoppedByRequest
    } else if end
        .container_reason
        .as_deref()
        .is_some_and(|reason| reason.starts_with("OutOfMemory"))
    {
        RunEnd::OutOfMemory
    } else if end.exit_code == Some(0) {
        RunEnd::Success
    } else {
        RunEnd::Failure
    }
}

/// Stop codes that say so, and the words of tasks whose instance was terminated or deregistered by force.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html>
fn is_host_loss(code: &str, reason: &str) -> bool {
    const CODES: [&str; 3] = ["SpotInterruption", "TerminationNotice", "InfrastructureHealth"];
    let reason = reason.to_ascii_lowercase();
    let says = |words: &str| reason.contains(words);
    CODES.contains(&code)
        || reason.starts_with("host ec2")
        || says("spot interruption")
        || says("deregistration forced")
        || (says("container instance") && (says("deregistered") || says("terminated")))
}

fn reason_of(end: &TaskEnd, kind: RunEnd) -> String {
    let mut parts = Vec::new();
    parts.extend(end.exit_code.map(|code| format!("exit code {code}")));
    parts.extend(end.container_reason.clone());
    parts.extend(end.stopped_reason.clone());
    parts.extend(end.stop_code.as_ref().map(|code| format!("({code})")));
    let what = match kind {
        RunEnd::Success => "succeeded",
        RunEnd::HostLost => "its instance was lost",
        RunEnd::StoppedByRequest => "stopped by a call of StopTask",
        RunEnd::OutOfMemory => "out of memory",
        RunEnd::Failure | RunEnd::Unseen => "failed",
    };
    if parts.is_empty() {
        format!("{what}: ECS gives no reason")
    } else {
        format!("{what}: {}", parts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(code: Option<i32>, stop_code: &str, reason: &str) -> TaskEnd {
        TaskEnd {
            exit_code: code,
            stop_code: Some(stop_code.to_owned()),
            stopped_reason: Some(reason.to_owned()),
            ..TaskEnd::default()
        }
    }

    fn failure(code: i32) -> TaskEnd {
        end(
            Some(code),
            "EssentialContainerExited",
            "Essential container in task exited",
        )
    }

    fn strategy(attempts: u8, rules: Vec<EvaluateOnExit>) -> RetryStrategy {
        RetryStrategy {
            attempts,
            evaluate_on_exit: rules,
            on_out_of_memory: None,
        }
    }

    fn rule(code: Option<&str>, status: Option<&str>, action: ExitAction) -> EvaluateOnExit {
        EvaluateOnExit {
            on_exit_code: code.and_then(Pattern::parse),
            on_reason: None,
            on_status_reason: status.and_then(Pattern::parse),
            action,
        }
    }

    fn again(after: &AfterRun) -> Option<RunCount> {
        match after {
            AfterRun::RunAgain { runs, .. } => Some(*runs),
            AfterRun::Succeeded | AfterRun::Failed { .. } => None,
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, expected) in [
            ("1", "1", true),
            ("1", "10", false),
            ("1*", "10", true),
            ("*", "", true),
            ("Host EC2*", "Host EC2 (instance i-1) terminated.", true),
            ("*terminated.", "Host EC2 (instance i-1) terminated.", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("host*", "Host EC2", false),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(text),
                expected,
                "{pattern} on {text}"
            );
        }
        assert_eq!(Pattern::parse(""), None);
        assert_eq!(Pattern::parse(&"a".repeat(PATTERN_CHARACTERS_MAX + 1)), None);
    }

    #[test]
    fn exit_code_0_is_success_and_nothing_follows() {
        assert_eq!(
            strategy(3, vec![]).after_run(&failure(0), RunCount::default()),
            AfterRun::Succeeded
        );
    }

    #[test]
    fn a_failed_run_is_repeated_while_attempts_are_left() {
        let three = strategy(3, vec![]);
        let mut runs = RunCount::default();
        for failed in 1..3 {
            runs = again(&three.after_run(&failure(1), runs)).unwrap();
            assert_eq!(runs.failed, failed);
        }
        assert_eq!(
            three.after_run(&failure(1), runs),
            AfterRun::Failed {
                reason: "failed: exit code 1 Essential container in task exited (EssentialContainerExited)"
                    .to_owned()
            }
        );
        assert_eq!(
            again(&RetryStrategy::default().after_run(&failure(1), RunCount::default())),
            None
        );
    }

    #[test]
    fn the_first_rule_that_matches_decides_and_without_one_the_task_is_run_again() {
        let rules = vec![
            rule(Some("1*"), None, ExitAction::Exit),
            rule(Some("*"), Some("Essential*"), ExitAction::Retry),
        ];
        let strategy = strategy(5, rules);
        let runs = RunCount::default();
        assert_eq!(again(&strategy.after_run(&failure(137), runs)), None);
        assert!(again(&strategy.after_run(&failure(2), runs)).is_some());
        let unmatched = end(None, "TaskFailedToStart", "CannotPullContainerError");
        assert!(again(&strategy.after_run(&unmatched, runs)).is_some());
    }

    #[test]
    fn a_lost_host_costs_no_attempt_but_cannot_happen_for_ever() {
        let once = RetryStrategy::default();
        let mut runs = RunCount::default();
        for lost in [
            end(None, "TerminationNotice", ""),
            end(Some(0), "SpotInterruption", "Your Spot Task was interrupted."),
            end(
                None,
                "EssentialContainerExited",
                "Host EC2 (instance i-1) terminated.",
            ),
            end(Some(137), "", "Container instance deregistration forced by user"),
        ] {
            runs = again(&once.after_run(&lost, runs)).unwrap();
        }
        assert_eq!((runs.failed, runs.hosts_lost), (0, 4));
        let worn = RunCount {
            failed: 0,
            hosts_lost: HOST_LOSSES_MAX,
        };
        assert_eq!(
            again(&once.after_run(&end(None, "TerminationNotice", ""), worn)),
            None
        );
    }

    #[test]
    fn a_rule_can_say_that_a_lost_host_ends_the_task() {
        let rules = vec![rule(None, Some("Host EC2*"), ExitAction::Exit)];
        let lost = end(None, "TerminationNotice", "Host EC2 (instance i-1) terminated.");
        assert_eq!(
            again(&strategy(3, rules).after_run(&lost, RunCount::default())),
            None
        );
    }

    #[test]
    fn a_task_that_somebody_stopped_is_not_brought_back_unless_a_rule_says_so() {
        let stopped = end(Some(143), "UserInitiated", "Task stopped by user");
        let runs = RunCount::default();
        assert_eq!(again(&strategy(3, vec![]).after_run(&stopped, runs)), None);
        let rules = vec![rule(Some("143"), None, ExitAction::Retry)];
        assert!(again(&strategy(3, rules).after_run(&stopped, runs)).is_some());
    }

    #[test]
    fn a_run_that_nobody_saw_end_is_not_repeated_unless_a_rule_says_so() {
        let unseen = TaskEnd {
            stopped_reason: Some(UNSEEN_END.to_owned()),
            ..TaskEnd::default()
        };
        let runs = RunCount::default();
        assert_eq!(again(&strategy(3, vec![]).after_run(&unseen, runs)), None);
        let rules = vec![rule(None, Some("ended unseen*"), ExitAction::Retry)];
        assert!(again(&strategy(3, rules).after_run(&unseen, runs)).is_some());
    }

    #[test]
    fn a_run_out_of_memory_gets_more_if_that_is_asked_for() {
        let end = TaskEnd {
            container_reason: Some("OutOfMemoryError: Container killed due to memory usage".to_owned()),
            ..failure(137)
        };
        let growth = MemoryGrowth {
            increase_percent: 50,
            maximum: MemoryMib::new(400),
        };
        let memory_of = |strategy: &RetryStrategy| match strategy.after_run(&end, RunCount::default()) {
            AfterRun::RunAgain { memory, .. } => memory,
            other => panic!("{other:?}"),
        };
        assert_eq!(memory_of(&strategy(2, vec![])), MemoryNeed::Same);
        let growing = RetryStrategy {
            on_out_of_memory: Some(growth),
            ..strategy(2, vec![])
        };
        assert_eq!(memory_of(&growing), MemoryNeed::More);
        let steps: Vec<u32> = std::iter::successors(Some(MemoryMib::new(101)), |memory| growth.next(*memory))
            .map(MemoryMib::get)
            .collect();
        assert_eq!(steps, [101, 152, 228, 342, 400]);
    }
}
