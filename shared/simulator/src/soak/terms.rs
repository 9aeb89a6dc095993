//! The times and rules that submissions are sent with, now and then.

use berth_scheduler::timestamp::Timestamp;
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// When every run begins.
pub(super) const BEGAN: Timestamp = Timestamp::from_millis(1_795_255_200_000);

/// Which fields the submissions of a run may have; in others they have none, so that the strictest rules hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct TermsMix {
    /// `retryStrategy`, with all its rules.
    retries: bool,
    /// `notBefore` and `startBy`.
    times: bool,
    /// `timeoutSeconds` and `expectedDurationSeconds`: with them short tasks may use what is set aside for others.
    run_times: bool,
}

impl TermsMix {
    pub(super) fn of(random: &mut Rng) -> Self {
        Self {
            retries: random.bool(),
            times: random.u8(0..3) == 0,
            run_times: random.u8(0..3) == 0,
        }
    }

    /// Fields of a submission that is sent so many milliseconds after the beginning.
    pub(super) fn fields(self, random: &mut Rng, at_ms: u64) -> Vec<(&'static str, Value)> {
        let mut fields = Vec::new();
        if self.retries && random.bool() {
            fields.push(("retryStrategy", retry_strategy(random)));
        }
        if self.times {
            let sent_at = BEGAN.saturating_add_millis(at_ms);
            let begins = sent_at.saturating_add_millis(random.u64(1_000..300_000));
            let ends = sent_at.saturating_add_millis(random.u64(1_000..1_800_000));
            if random.u8(0..3) == 0 {
                fields.push(("notBefore", json!(begins.to_string())));
            }
            // Not beside a `notBefore` that is later: that is refused.
            if random.u8(0..3) == 0 && begins < ends {
                fields.push(("startBy", json!(ends.to_string())));
            }
        }
        if self.run_times {
            match random.u8(0..4) {
                0 => fields.push(("timeoutSeconds", json!(60))),
                1 => fields.push(("expectedDurationSeconds", json!(random.u16(1..=400)))),
                _ => {}
            }
        }
        fields
    }
}

fn retry_strategy(random: &mut Rng) -> Value {
    let mut strategy = Map::new();
    strategy.insert("attempts".to_owned(), json!(random.u8(1..=3)));
    if random.u8(0..3) == 0 {
        let action = if random.bool() { "RETRY" } else { "EXIT" };
        let rule = match random.u8(0..3) {
            0 => json!({"onExitCode": "1*", "action": action}),
            1 => json!({"onReason": "OutOfMemory*", "action": action}),
            _ => json!({"onStatusReason": "Host EC2*", "action": action}),
        };
        strategy.insert("evaluateOnExit".to_owned(), json!([rule]));
    }
    if random.u8(0..3) == 0 {
        let growth = json!({"increasePercent": 50, "maximumMiB": 600});
        strategy.insert("onOutOfMemory".to_owned(), growth);
    }
    Value::Object(strategy)
}

/// What the referee holds the tasks of a submission to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// Whether a later run may take more memory than the first.
    pub(super) may_grow: bool,
    /// No run begins before this moment.
    pub(super) not_before: Option<Timestamp>,
}

impl Limits {
    pub(super) fn of(submission: &Value) -> Self {
        let not_before = submission.get("notBefore").and_then(Value::as_str);
        Self {
            may_grow: submission.pointer("/retryStrategy/onOutOfMemory").is_some(),
            not_before: not_before.and_then(Timestamp::parse_iso8601),
        }
    }
}
