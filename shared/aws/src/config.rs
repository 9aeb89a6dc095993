//! What a function is told by its environment, read once when it starts.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use berth_control::settings::{
    AGING_SECONDS_VARIABLE, ALLOWED_OVERRIDES_VARIABLE, CLUSTERS_VARIABLE, DEFAULT_STRATEGY_VARIABLE,
    Settings, SettingsError, WAITING_POLICY_VARIABLE,
};
use berth_scheduler::quantity::Seconds;

use crate::ecs::Ecs;
use crate::event_bus::EventBridge;
use crate::ledger::{DynamoLedger, Tables};
use crate::messenger::SqsMessenger;

/// The name of the capacity table.
pub const CAPACITY_TABLE_VARIABLE: &str = "BERTH_CAPACITY_TABLE";
/// The name of the tasks table.
pub const TASKS_TABLE_VARIABLE: &str = "BERTH_TASKS_TABLE";
/// For how many days the record of a task is kept that nothing happens to any more.
pub const TASK_RETENTION_VARIABLE: &str = "BERTH_TASK_RETENTION_DAYS";
/// The URL of the wake queue.
pub const WAKE_QUEUE_VARIABLE: &str = "BERTH_WAKE_QUEUE_URL";
/// The URL of the refusals queue.
pub const REFUSALS_QUEUE_VARIABLE: &str = "BERTH_REFUSALS_QUEUE_URL";

/// The name of the event bus for others.
pub const EVENT_BUS_VARIABLE: &str = "BERTH_EVENT_BUS";
/// The source that the events for others name.
pub const PUBLISHED_SOURCE_VARIABLE: &str = "BERTH_PUBLISHED_SOURCE";

/// Days that a final task is kept unless the deployment says otherwise: two more than a message can wait in a
/// queue and its dead-letter queue, so that a submission that comes late is recognised. It may not be fewer.
const TASK_RETENTION_DAYS: u32 = 16;

const SECONDS_OF_A_DAY: u32 = 86_400;
/// The URL of the dead-letter queue of the submissions.
pub const DEAD_LETTER_QUEUE_VARIABLE: &str = "BERTH_DEAD_LETTER_QUEUE_URL";
/// How often SQS hands out a submission before it moves it to the dead-letter queue.
pub const RECEIVES_MAX_VARIABLE: &str = "BERTH_SUBMISSION_RECEIVES_MAX";

/// Connecting takes a few milliseconds inside a Region; one that takes this long is better begun again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Tries of a call that may be repeated. Whoever calls has a way back of its own, so a few are enough.
const TRIES_MAX: u32 = 3;

/// How long one try of a DynamoDB or SQS call, which takes milliseconds, may take.
const STORE_TRY_TIMEOUT: Duration = Duration::from_secs(3);

/// How long one try of an ECS call may take: RunTask for a task in `awsvpc` mode takes seconds.
const ECS_TRY_TIMEOUT: Duration = Duration::from_secs(8);

/// How long all tries of a DynamoDB or SQS call together may take: less than what a cycle keeps in hand before
/// its invocation ends.
const STORE_CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// How long all tries of an ECS call together may take.
const ECS_CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a function cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable is not set.
    #[error("the environment variable {variable} is not set: give {expected}")]
    Missing {
        /// The variable.
        variable: &'static str,
        /// What its value should be.
        expected: &'static str,
    },
    /// A variable is no number of days that can be used.
    #[error(
        "the environment variable {variable} is `{value}`: give a whole number of days from {least} to 3650"
    )]
    NoDays {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The fewest days.
        least: u32,
    },
    /// A variable has a value that cannot be used.
    #[error("an environment variable cannot be used")]
    Unusable(#[source] SettingsError),
}

/// The environment of a function: variables, Region and credentials.
#[derive(Clone, Debug)]
pub struct Environment {
    sdk: SdkConfig,
    variables: Variables,
}

/// Environment variables.
#[derive(Clone, Copy, Debug)]
struct Variables(fn(&str) -> Option<String>);

impl Environment {
    /// Reads Region, credentials and endpoints the way every AWS tool does.
    pub async fn load() -> Self {
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(TRIES_MAX))
            .timeout_config(timeouts(STORE_TRY_TIMEOUT, STORE_CALL_TIMEOUT))
            .load()
            .await;
        Self {
            sdk,
            variables: Variables(|variable| std::env::var(variable).ok()),
        }
    }

    /// What the deployment allows. A function that takes no submissions has no list of overrides.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        self.variables.settings()
    }

    /// The ledger.
    ///
    /// # Errors
    /// Names the variable that is missing.
    pub fn ledger(&self) -> Result<DynamoLedger, ConfigError> {
        let tables = Tables {
            capacity: self
                .variables
                .needed(CAPACITY_TABLE_VARIABLE, "the name of the capacity table")?,
            tasks: self
                .variables
                .needed(TASKS_TABLE_VARIABLE, "the name of the tasks table")?,
            final_tasks_kept: self.variables.final_tasks_kept()?,
        };
        Ok(DynamoLedger::new(
            aws_sdk_dynamodb::Client::new(&self.sdk),
            tables,
        ))
    }

    /// The wake queue.
    ///
    /// # Errors
    /// Names the variable that is missing.
    pub fn messenger(&self) -> Result<SqsMessenger, ConfigError> {
        let wake_queue_url = self
            .variables
            .needed(WAKE_QUEUE_VARIABLE, "the URL of the wake queue")?;
        Ok(SqsMessenger::new(
            aws_sdk_sqs::Client::new(&self.sdk),
            wake_queue_url,
        ))
    }

    /// The wake queue and the queues for submissions that are not accepted.
    ///
    /// # Errors
    /// Names the variable that is missing.
    pub fn messenger_with_submissions(&self) -> Result<SqsMessenger, ConfigError> {
        let refusals = self
            .variables
            .needed(REFUSALS_QUEUE_VARIABLE, "the URL of the refusals queue")?;
        let dead_letters = self
            .variables
            .needed(DEAD_LETTER_QUEUE_VARIABLE, "the URL of the dead-letter queue")?;
        Ok(self
            .messenger()?
            .with_refusals(refusals)
            .with_dead_letters(dead_letters))
    }

    /// The wake queue and the refusals queue.
    ///
    /// # Errors
    /// Names the variable that is missing.
    pub fn messenger_with_refusals(&self) -> Result<SqsMessenger, ConfigError> {
        let refusals = self
            .variables
            .needed(REFUSALS_QUEUE_VARIABLE, "the URL of the refusals queue")?;
        Ok(self.messenger()?.with_refusals(refusals))
    }

    /// How often SQS hands out a submission before it moves it to the dead-letter queue.
    ///
    /// # Errors
    /// Names the variable that is missing or no number.
    pub fn submission_receives_max(&self) -> Result<u32, ConfigError> {
        let expected = "the maxReceiveCount of the submission queue";
        let missing = ConfigError::Missing {
            variable: RECEIVES_MAX_VARIABLE,
            expected,
        };
        let text = self.variables.needed(RECEIVES_MAX_VARIABLE, expected)?;
        text.trim().parse().map_err(|_| missing)
    }

    /// The event bus for others.
    ///
    /// # Errors
    /// Names the variable that is missing.
    pub fn event_bus(&self) -> Result<EventBridge, ConfigError> {
        let bus = self
            .variables
            .needed(EVENT_BUS_VARIABLE, "the name of an event bus such as `default`")?;
        let source = self
            .variables
            .needed(PUBLISHED_SOURCE_VARIABLE, "a source of events such as `berth`")?;
        let client = aws_sdk_eventbridge::Client::new(&self.sdk);
        Ok(EventBridge::new(client, bus, source))
    }

    /// ECS. Its clients take more time for a try, and RunTask exactly one try.
    pub fn ecs(&self) -> Ecs {
        let config = || {
            aws_sdk_ecs::config::Builder::from(&self.sdk)
                .timeout_config(timeouts(ECS_TRY_TIMEOUT, ECS_CALL_TIMEOUT))
        };
        let launching = config().retry_config(RetryConfig::disabled()).build();
        Ecs::new(
            aws_sdk_ecs::Client::from_conf(config().build()),
            aws_sdk_ecs::Client::from_conf(launching),
        )
    }
}

impl Variables {
    fn get(self, variable: &str) -> Option<String> {
        (self.0)(variable).filter(|value| !value.trim().is_empty())
    }

    fn needed(self, variable: &'static str, expected: &'static str) -> Result<String, ConfigError> {
        self.get(variable)
            .ok_or(ConfigError::Missing { variable, expected })
    }

    fn final_tasks_kept(self) -> Result<Seconds, ConfigError> {
        let Some(value) = self.get(TASK_RETENTION_VARIABLE) else {
            return Ok(Seconds::new(TASK_RETENTION_DAYS * SECONDS_OF_A_DAY));
        };
        let days: Option<u32> = value.trim().parse().ok();
        days.filter(|days| (TASK_RETENTION_DAYS..=3650).contains(days))
            .map(|days| Seconds::new(days.saturating_mul(SECONDS_OF_A_DAY)))
            .ok_or(ConfigError::NoDays {
                variable: TASK_RETENTION_VARIABLE,
                value,
                least: TASK_RETENTION_DAYS,
            })
    }

    fn settings(self) -> Result<Settings, ConfigError> {
        let clusters = self.needed(CLUSTERS_VARIABLE, "a comma list of clusters such as `default`")?;
        // Nothing may be overridden unless the deployment says so.
        let overrides = self.get(ALLOWED_OVERRIDES_VARIABLE).unwrap_or_default();
        let strategy = self.get(DEFAULT_STRATEGY_VARIABLE).unwrap_or_default();
        let policy = self.get(WAITING_POLICY_VARIABLE).unwrap_or_default();
        let aging = self.get(AGING_SECONDS_VARIABLE).unwrap_or_default();
        Settings::parse(&clusters, &overrides)
            .and_then(|settings| settings.with_default_strategy(&strategy))
            .and_then(|settings| settings.with_waiting_policy(&policy))
            .and_then(|settings| settings.with_aging_seconds(&aging))
            .map_err(ConfigError::Unusable)
    }
}

fn timeouts(try_timeout: Duration, call_timeout: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(try_timeout)
        .operation_attempt_timeout(try_timeout)
        .operation_timeout(call_timeout)
        .build()
}

#[cfg(test)]
mod tests {
    use berth_control::settings::Override;

    use super::*;

    #[test]
    fn a_missing_variable_is_named_with_what_it_should_be() {
        let none = Variables(|_| None);
        assert_eq!(
            none.needed(TASKS_TABLE_VARIABLE, "the name of the tasks table")
                .unwrap_err()
                .to_string(),
            "the environment variable BERTH_TASKS_TABLE is not set: give the name of the tasks table"
        );
        let empty = Variables(|_| Some(" ".to_owned()));
        assert!(empty.needed(TASKS_TABLE_VARIABLE, "").is_err());
    }

    #[test]
    fn the_default_strategy_is_the_deployments() {
        let variables = Variables(|variable| match variable {
            CLUSTERS_VARIABLE => Some("default".to_owned()),
            DEFAULT_STRATEGY_VARIABLE => Some("az-balanced-spread".to_owned()),
            _ => None,
        });
        assert_eq!(variables.settings().unwrap().default_strategies.len(), 2);
    }

    #[test]
    fn nothing_may_be_overridden_unless_the_deployment_says_so() {
        let clusters_alone =
            Variables(|variable| (variable == CLUSTERS_VARIABLE).then(|| "default".to_owned()));
        let settings = clusters_alone.settings().unwrap();
        assert_eq!(settings.clusters.len(), 1);
        assert!(!settings.allowed_overrides.allows(Override::Environment));
    }

    #[test]
    fn final_tasks_are_kept_longer_than_any_message_can_wait() {
        let none = Variables(|_| None);
        assert_eq!(none.final_tasks_kept().unwrap(), Seconds::new(16 * 86_400));
        assert_eq!(
            Variables(|_| Some("90".to_owned())).final_tasks_kept().unwrap(),
            Seconds::new(90 * 86_400)
        );
        for value in ["15", "4000", "a week"] {
            let variables: fn(&str) -> Option<String> = match value {
                "15" => |_| Some("15".to_owned()),
                "4000" => |_| Some("4000".to_owned()),
                _ => |_| Some("a week".to_owned()),
            };
            let error = Variables(variables).final_tasks_kept().unwrap_err().to_string();
            assert!(error.contains(value) && error.contains("16 to 3650"), "{error}");
        }
    }
}
