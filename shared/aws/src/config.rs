//! What a function is told by its environment, read once when it starts.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use berth_control::settings::{
    AGING_SECONDS_VARIABLE, ALLOWED_OVERRIDES_VARIABLE, CLUSTERS_VARIABLE, Settings, SettingsError,
    WAITING_POLICY_VARIABLE,
};

use crate::ecs::Ecs;
use crate::ledger::{DynamoLedger, Tables};
use crate::messenger::SqsMessenger;

/// The name of the capacity table.
pub const CAPACITY_TABLE_VARIABLE: &str = "BERTH_CAPACITY_TABLE";
/// The name of the tasks table.
pub const TASKS_TABLE_VARIABLE: &str = "BERTH_TASKS_TABLE";
/// The URL of the wake queue.
pub const WAKE_QUEUE_VARIABLE: &str = "BERTH_WAKE_QUEUE_URL";
/// The URL of the refusals queue.
pub const REFUSALS_QUEUE_VARIABLE: &str = "BERTH_REFUSALS_QUEUE_URL";

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

    /// The wake queue and the refusals queue.
    ///
    /// # Errors
    /// Names the variable that is missing.
    pub fn messenger_with_refusals(&self) -> Result<SqsMessenger, ConfigError> {
        let queue_url = self
            .variables
            .needed(REFUSALS_QUEUE_VARIABLE, "the URL of the refusals queue")?;
        Ok(self.messenger()?.with_refusals(queue_url))
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

    fn settings(self) -> Result<Settings, ConfigError> {
        let clusters = self.needed(CLUSTERS_VARIABLE, "a comma list of clusters such as `default`")?;
        // Nothing may be overridden unless the deployment says so.
        let overrides = self.get(ALLOWED_OVERRIDES_VARIABLE).unwrap_or_default();
        let policy = self.get(WAITING_POLICY_VARIABLE).unwrap_or_default();
        let aging = self.get(AGING_SECONDS_VARIABLE).unwrap_or_default();
        Settings::parse(&clusters, &overrides)
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
    fn nothing_may_be_overridden_unless_the_deployment_says_so() {
        let clusters_alone =
            Variables(|variable| (variable == CLUSTERS_VARIABLE).then(|| "default".to_owned()));
        let settings = clusters_alone.settings().unwrap();
        assert_eq!(settings.clusters.len(), 1);
        assert!(!settings.allowed_overrides.allows(Override::Environment));
    }
}
