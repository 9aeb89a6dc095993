//! What a deployment allows, from the environment variables that the template sets.

use std::collections::BTreeSet;

use berth_scheduler::id::ClusterName;
use berth_scheduler::shape::{BinpackField, PlacementTemplate, SpreadField, Strategy};
use berth_scheduler::waiting::AgingSeconds;

use crate::wire::submission::{SPREAD_FIELDS, STRATEGIES_MAX};
use crate::wire::suggestion::{closest, shown};

mod waiting;

pub use waiting::{
    AGING_SECONDS_VARIABLE, WAITING_POLICY_VARIABLE, WaitingPolicies, parse_aging, parse_policy,
};

/// The environment variable with the clusters of a deployment.
pub const CLUSTERS_VARIABLE: &str = "BERTH_CLUSTERS";

/// The environment variable with the overrides that a submission may contain.
pub const ALLOWED_OVERRIDES_VARIABLE: &str = "BERTH_ALLOWED_OVERRIDES";

/// The environment variable with the strategies of submissions that name none.
pub const DEFAULT_STRATEGY_VARIABLE: &str = "BERTH_DEFAULT_PLACEMENT_STRATEGY";

/// What a deployment allows, what it does when a submission does not say, and how its clusters treat those who wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The clusters it places tasks in, at least one, in the order given.
    pub clusters: Vec<ClusterName>,
    /// What submissions may override.
    pub allowed_overrides: AllowedOverrides,
    /// The strategies of submissions that name none. None at all is `random`, as for RunTask.
    pub default_strategies: Vec<Strategy>,
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
    /// Reads the values of [`CLUSTERS_VARIABLE`] and [`ALLOWED_OVERRIDES_VARIABLE`], both comma lists. The
    /// default strategy is that of RunTask.
    ///
    /// # Errors
    /// Names the variable, the value and what to set instead.
    pub fn parse(clusters: &str, allowed_overrides: &str) -> Result<Self, SettingsError> {
        Ok(Self {
            clusters: parse_clusters(clusters)?,
            allowed_overrides: parse_overrides(allowed_overrides)?,
            default_strategies: Vec::new(),
            policies: WaitingPolicies::default(),
            aging: None,
        })
    }

    /// The same, with the value of [`DEFAULT_STRATEGY_VARIABLE`]: the name of a placement template, or a comma
    /// list such as `spread:attribute:ecs.availability-zone,binpack:memory`; nothing changes nothing.
    ///
    /// # Errors
    /// Names the variable, the value and what to set instead.
    pub fn with_default_strategy(self, strategy: &str) -> Result<Self, SettingsError> {
        let default_strategies = parse_strategies(strategy).map_err(|problem| SettingsError {
            variable: DEFAULT_STRATEGY_VARIABLE,
            problem,
        })?;
        Ok(Self {
            default_strategies,
            ..self
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

fn parse_strategies(list: &str) -> Result<Vec<Strategy>, String> {
    if let Some(template) = PlacementTemplate::parse(list.trim()) {
        let strategies = template.strategies();
        if strategies.is_empty() {
            return Err(format!(
                "`{}` is a constraint and no strategy: submissions can ask for it",
                template.as_str()
            ));
        }
        return Ok(strategies);
    }
    let strategies: Vec<Strategy> = entries(list).map(parse_strategy).collect::<Result<_, _>>()?;
    if strategies.len() > STRATEGIES_MAX {
        let count = strategies.len();
        return Err(format!(
            "{count} strategies are too many: give at most {STRATEGIES_MAX}"
        ));
    }
    Ok(strategies)
}

fn parse_strategy(entry: &str) -> Result<Strategy, String> {
    let strategy = match entry.split_once(':') {
        None if entry == "random" => Some(Strategy::Random),
        Some(("binpack", field)) => BinpackField::parse(field).map(Strategy::Binpack),
        Some(("spread", field)) => SpreadField::parse(field).map(Strategy::Spread),
        _ => None,
    };
    strategy.ok_or_else(|| {
        let templates = PlacementTemplate::ALL.into_iter();
        let templates = templates.filter(|template| !template.strategies().is_empty());
        let templates: Vec<&str> = templates.map(PlacementTemplate::as_str).collect();
        format!(
            "`{}` is no placement strategy: give `random`, `binpack:` with `cpu` or `memory`, `spread:` with \
             {SPREAD_FIELDS}, or one of the templates {}",
            shown(entry),
            templates.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_strategy_is_a_list_or_a_template() {
        let strategies = |text: &str| {
            let settings = Settings::parse("default", "").unwrap();
            settings.with_default_strategy(text).unwrap().default_strategies
        };
        let zones = Strategy::Spread(SpreadField::Attribute("ecs.availability-zone".to_owned()));
        let by_memory = Strategy::Binpack(BinpackField::Memory);
        let both = [zones, by_memory.clone()];
        assert_eq!(
            strategies("spread:attribute:ecs.availability-zone, binpack:memory"),
            both
        );
        assert_eq!(strategies("az-balanced-binpack"), both);
        assert_eq!(strategies("binpack"), [by_memory]);
        assert_eq!(
            strategies("spread:host,random"),
            [Strategy::Spread(SpreadField::InstanceId), Strategy::Random]
        );
        assert_eq!(strategies(" "), []);
    }

    #[test]
    fn a_bad_default_strategy_is_named_with_what_can_be_given() {
        for (text, pieces) in [
            (
                "binpack:disk",
                ["`binpack:disk` is no placement strategy", "`cpu` or `memory`"],
            ),
            (
                "spread:zone",
                ["`spread:zone`", "`instanceId`, `host` or `attribute:NAME`"],
            ),
            ("spread:attribute:", ["`spread:attribute:`", "az-balanced-spread"]),
            ("random,fifo", ["`fifo`", "give `random`"]),
            (
                "one-task-per-host",
                ["is a constraint", "submissions can ask for it"],
            ),
            (
                "random,random,random,random,random,random",
                ["6 strategies", "at most 5"],
            ),
        ] {
            let settings = Settings::parse("default", "").unwrap();
            let error = settings.with_default_strategy(text).unwrap_err().to_string();
            assert!(error.starts_with("BERTH_DEFAULT_PLACEMENT_STRATEGY: "), "{error}");
            assert!(pieces.iter().all(|piece| error.contains(piece)), "{error}");
        }
    }

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
