//! What a deployment allows, from the environment variables that the template sets.

use std::collections::BTreeSet;

use berth_scheduler::id::ClusterName;
use berth_scheduler::waiting::AgingSeconds;

use crate::wire::suggestion::{closest, shown};

mod waiting;

pub use waiting::{AGING_SECONDS_VARIABLE, WAITING_POLICY_VARIABLE, WaitingPolicies, parse_policy};

/// The environment variable with the clusters of a deployment.
pub const CLUSTERS_VARIABLE: &str = "BERTH_CLUSTERS";

/// The environment variable with the overrides that a submission may contain.
pub const ALLOWED_OVERRIDES_VARIABLE: &str = "BERTH_ALLOWED_OVERRIDES";

/// What a deployment allows, and how its clusters treat those who wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The clusters it places tasks in, at least one, in the order given.
    pub clusters: Vec<ClusterName>,
    /// What submissions may override.
    pub allowed_overrides: AllowedOverrides,
    /// What becomes of those behind a task that has to wait for room.
    pub policies: WaitingPolicies,
    /// How fast waiting tasks gain rank; `None` when they do not.
    pub aging: Option<AgingSeconds>,
}

/// A part of a submission that changes what its task definition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Override {
    /// Environment variables of containers.
    Environment,
    /// CPU, memory and GPUs.
    Resources,
    /// The commands of containers: with the task's role, whoever may submit then runs what they like.
    Command,
    /// Files of environment variables.
    EnvironmentFiles,
    /// The role of the task.
    TaskRole,
    /// The role that starts the task.
    ExecutionRole,
    /// `enableExecuteCommand`: a shell in the running containers.
    ExecuteCommand,
}

impl Override {
    const ALL: [Self; 7] = [
        Self::Environment,
        Self::Resources,
        Self::Command,
        Self::EnvironmentFiles,
        Self::TaskRole,
        Self::ExecutionRole,
        Self::ExecuteCommand,
    ];

    /// Its name in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Resources => "resources",
            Self::Command => "command",
            Self::EnvironmentFiles => "environment-files",
            Self::TaskRole => "task-role",
            Self::ExecutionRole => "execution-role",
            Self::ExecuteCommand => "execute-command",
        }
    }
}

/// The overrides that a deployment allows. By default what cannot give a submitter more rights: the
/// environment and the resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOverrides(BTreeSet<Override>);

impl AllowedOverrides {
    /// Whether submissions may contain this override.
    pub fn allows(&self, wanted: Override) -> bool {
        self.0.contains(&wanted)
    }
}

impl Default for AllowedOverrides {
    fn default() -> Self {
        Self::from_iter([Override::Environment, Override::Resources])
    }
}

impl FromIterator<Override> for AllowedOverrides {
    fn from_iter<I: IntoIterator<Item = Override>>(allowed: I) -> Self {
        Self(allowed.into_iter().collect())
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct SettingsError {
    variable: &'static str,
    problem: String,
}

impl Settings {
    /// Reads the values of [`CLUSTERS_VARIABLE`] and [`ALLOWED_OVERRIDES_VARIABLE`], both comma lists.
    ///
    /// # Errors
    /// Names the variable, the value and what to set instead.
    pub fn parse(clusters: &str, allowed_overrides: &str) -> Result<Self, SettingsError> {
        Ok(Self {
            clusters: parse_clusters(clusters)?,
            allowed_overrides: parse_overrides(allowed_overrides)?,
            policies: WaitingPolicies::default(),
            aging: None,
        })
    }

    /// With the value of [`WAITING_POLICY_VARIABLE`](waiting::WAITING_POLICY_VARIABLE).
    ///
    /// # Errors
    /// Names the variable, the value and what to set instead.
    pub fn with_waiting_policy(self, list: &str) -> Result<Self, SettingsError> {
        let policies = waiting::parse_policies(list, &self.clusters)?;
        Ok(Self { policies, ..self })
    }

    /// With the value of [`AGING_SECONDS_VARIABLE`](waiting::AGING_SECONDS_VARIABLE).
    ///
    /// # Errors
    /// Names the variable, the value and what to set instead.
    pub fn with_aging_seconds(self, seconds: &str) -> Result<Self, SettingsError> {
        let aging = waiting::parse_aging(seconds)?;
        Ok(Self { aging, ..self })
    }
}

/// The entries of a comma list. White space around them and empty ones do not matter.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn parse_clusters(list: &str) -> Result<Vec<ClusterName>, SettingsError> {
    let error = |problem| SettingsError {
        variable: CLUSTERS_VARIABLE,
        problem,
    };
    let mut clusters = Vec::new();
    for entry in entries(list) {
        let cluster = ClusterName::from_name_or_arn(entry).map_err(|problem| error(problem.to_string()))?;
        if !clusters.contains(&cluster) {
            clusters.push(cluster);
        }
    }
    if clusters.is_empty() {
        return Err(error(format!(
            "`{}` names no cluster: give one or more, such as `default`",
            shown(list)
        )));
    }
    Ok(clusters)
}

fn parse_overrides(list: &str) -> Result<AllowedOverrides, SettingsError> {
    let names = Override::ALL.map(Override::name);
    entries(list)
        .map(|entry| {
            let known = Override::ALL.into_iter().find(|known| known.name() == entry);
            known.ok_or_else(|| {
                let meant = closest(entry, &names).map(|name| format!(" (did you mean `{name}`?)"));
                SettingsError {
                    variable: ALLOWED_OVERRIDES_VARIABLE,
                    problem: format!(
                        "`{}` is no kind of override{}: give any of {}, or nothing to allow none",
                        shown(entry),
                        meant.unwrap_or_default(),
                        names.join(", ")
                    ),
                }
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_named_by_name_or_arn_and_counted_once() {
        let list = " default, arn:aws:ecs:us-east-1:123456789012:cluster/batch ,default,";
        let settings = Settings::parse(list, "environment").unwrap();
        let names: Vec<&str> = settings.clusters.iter().map(ClusterName::as_str).collect();
        assert_eq!(names, ["default", "batch"]);
    }

    #[test]
    fn only_the_listed_overrides_are_allowed() {
        let settings = Settings::parse("default", "command, task-role").unwrap();
        assert!(settings.allowed_overrides.allows(Override::Command));
        assert!(settings.allowed_overrides.allows(Override::TaskRole));
        assert!(!settings.allowed_overrides.allows(Override::Environment));
        let none = Settings::parse("default", "").unwrap().allowed_overrides;
        assert!(Override::ALL.iter().all(|kind| !none.allows(*kind)));
        let default = AllowedOverrides::default();
        assert_eq!(
            Settings::parse("default", "environment,resources")
                .unwrap()
                .allowed_overrides,
            default
        );
    }

    #[test]
    fn a_bad_setting_names_the_variable_the_value_and_the_fix() {
        for (clusters, overrides, pieces) in [
            ("", "", ["BERTH_CLUSTERS", "such as `default`"]),
            (" , ", "", ["BERTH_CLUSTERS", "names no cluster"]),
            ("a b", "", ["BERTH_CLUSTERS", "`a b` is not a cluster name"]),
            (
                "default",
                "roles",
                ["BERTH_ALLOWED_OVERRIDES", "`roles` is no kind of override"],
            ),
            (
                "default",
                "taskRole",
                ["BERTH_ALLOWED_OVERRIDES", "did you mean `task-role`?"],
            ),
            (
                "default",
                "Environment",
                ["BERTH_ALLOWED_OVERRIDES", "did you mean `environment`?"],
            ),
        ] {
            let error = Settings::parse(clusters, overrides).unwrap_err().to_string();
            assert!(pieces.iter().all(|piece| error.contains(piece)), "{error}");
        }
    }
}
