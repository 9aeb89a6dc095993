//! How those who wait are treated.

use std::collections::BTreeMap;

use berth_scheduler::id::ClusterName;
use berth_scheduler::policy::{ClaimCount, ClaimLimit, WaitingPolicy};
use berth_scheduler::waiting::AgingSeconds;

use super::{SettingsError, entries};
use crate::wire::suggestion::{closest, shown};

/// The environment variable with the waiting policies: a comma list of `POLICY`, for all clusters, and
/// `CLUSTER=POLICY`.
pub const WAITING_POLICY_VARIABLE: &str = "BERTH_WAITING_POLICY";

/// The environment variable with the seconds of waiting that count as much as one point of priority.
pub const AGING_SECONDS_VARIABLE: &str = "BERTH_AGING_SECONDS";

const POLICIES: [&str; 3] = ["reserve", "strict", "fill"];

/// The waiting policy of each cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingPolicies {
    of_all: WaitingPolicy,
    of_cluster: BTreeMap<ClusterName, WaitingPolicy>,
}

impl WaitingPolicies {
    /// The same policy for all clusters.
    pub fn all(policy: WaitingPolicy) -> Self {
        Self {
            of_all: policy,
            of_cluster: BTreeMap::new(),
        }
    }

    /// The policy of a cluster.
    pub fn of(&self, cluster: &ClusterName) -> WaitingPolicy {
        self.of_cluster.get(cluster).copied().unwrap_or(self.of_all)
    }
}

pub(super) fn parse_policies(list: &str, clusters: &[ClusterName]) -> Result<WaitingPolicies, SettingsError> {
    let error = |problem| SettingsError {
        variable: WAITING_POLICY_VARIABLE,
        problem,
    };
    let mut of_all = None;
    let mut of_cluster = BTreeMap::new();
    for entry in entries(list) {
        let (cluster, policy) = match entry.rsplit_once('=') {
            Some((cluster, policy)) => (Some(cluster.trim()), policy.trim()),
            None => (None, entry),
        };
        let policy = parse_policy(policy).map_err(error)?;
        let repeated = match cluster {
            None => of_all.replace(policy).is_some(),
            Some(name) => {
                let known = clusters.iter().find(|known| known.as_str() == name);
                let unknown = || {
                    let shown = shown(name);
                    error(format!(
                        "`{shown}` is not a cluster of this deployment: give one that is, as `CLUSTER=POLICY`"
                    ))
                };
                of_cluster
                    .insert(known.ok_or_else(unknown)?.clone(), policy)
                    .is_some()
            }
        };
        if repeated {
            let shown = shown(entry);
            return Err(error(format!(
                "`{shown}` comes after another policy for the same: give each cluster one"
            )));
        }
    }
    Ok(WaitingPolicies {
        of_all: of_all.unwrap_or_default(),
        of_cluster,
    })
}

/// Reads `reserve`, `reserve:N`, `strict` or `fill`.
///
/// # Errors
/// Names the value and what to give instead.
pub fn parse_policy(text: &str) -> Result<WaitingPolicy, String> {
    let claims = text.strip_prefix("reserve:");
    match (text, claims) {
        ("reserve", _) => Ok(WaitingPolicy::Reserve(ClaimLimit::Share)),
        ("strict", _) => Ok(WaitingPolicy::Strict),
        ("fill", _) => Ok(WaitingPolicy::Fill),
        (_, Some(claims)) => {
            let count = claims.parse().ok().and_then(ClaimCount::new);
            let limit = count.map(ClaimLimit::AtMost);
            limit.map(WaitingPolicy::Reserve).ok_or_else(|| {
                format!(
                    "`{}` is no number of instances to set aside: give `reserve:N` with 1 to {}, or `reserve`",
                    shown(claims),
                    ClaimCount::MAX
                )
            })
        }
        (other, None) => {
            let meant = closest(other, &POLICIES).map(|name| format!(" (did you mean `{name}`?)"));
            Err(format!(
                "`{}` is no waiting policy{}: give `reserve`, `reserve:N`, `strict` or `fill`",
                shown(other),
                meant.unwrap_or_default()
            ))
        }
    }
}

/// Reads the seconds of waiting that count as much as one point of priority; 0 or nothing for no aging.
///
/// # Errors
/// Names the variable, the value and what to set instead.
pub fn parse_aging(seconds: &str) -> Result<Option<AgingSeconds>, SettingsError> {
    let seconds = seconds.trim();
    if seconds.is_empty() || seconds == "0" {
        return Ok(None);
    }
    let aging = seconds.parse().ok().and_then(AgingSeconds::new);
    aging.map(Some).ok_or_else(|| SettingsError {
        variable: AGING_SECONDS_VARIABLE,
        problem: format!(
            "`{}` is no number of seconds for a point of priority: give 1 to {}, or 0 for no aging",
            shown(seconds),
            AgingSeconds::MAX
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn settings() -> Settings {
        Settings::parse("default,batch", "").unwrap()
    }

    fn policies(list: &str) -> Result<[WaitingPolicy; 2], String> {
        let settings = settings()
            .with_waiting_policy(list)
            .map_err(|error| error.to_string())?;
        let of = |position: usize| settings.policies.of(&settings.clusters[position]);
        Ok([of(0), of(1)])
    }

    #[test]
    fn a_policy_is_for_all_clusters_or_for_one() {
        let three = WaitingPolicy::Reserve(ClaimLimit::AtMost(ClaimCount::new(3).unwrap()));
        assert_eq!(policies("").unwrap(), [WaitingPolicy::default(); 2]);
        assert_eq!(policies(" fill ").unwrap(), [WaitingPolicy::Fill; 2]);
        assert_eq!(
            policies("batch=reserve:3, strict").unwrap(),
            [WaitingPolicy::Strict, three]
        );
        assert_eq!(
            policies("default = fill").unwrap(),
            [WaitingPolicy::Fill, WaitingPolicy::default()]
        );
    }

    #[test]
    fn a_bad_policy_names_the_variable_the_value_and_the_fix() {
        for (list, pieces) in [
            ("fil", ["`fil` is no waiting policy", "did you mean `fill`?"]),
            ("reserve:0", ["`0` is no number of instances", "1 to 64"]),
            ("reserve:x", ["`x` is no number of instances", "1 to 64"]),
            (
                "prod=fill",
                ["`prod` is not a cluster of this deployment", "CLUSTER=POLICY"],
            ),
            (
                "fill,strict",
                ["`strict` comes after another policy", "give each cluster one"],
            ),
        ] {
            let error = policies(list).unwrap_err();
            assert!(error.starts_with("BERTH_WAITING_POLICY: "), "{error}");
            assert!(pieces.iter().all(|piece| error.contains(piece)), "{error}");
        }
    }

    #[test]
    fn aging_is_off_unless_seconds_are_given() {
        let aging = |seconds: &str| {
            settings()
                .with_aging_seconds(seconds)
                .map(|settings| settings.aging)
        };
        assert_eq!(aging(""), Ok(None));
        assert_eq!(aging("0"), Ok(None));
        assert_eq!(aging(" 60 "), Ok(AgingSeconds::new(60)));
        for bad in ["-1", "604801", "a minute"] {
            let error = aging(bad).unwrap_err().to_string();
            let expected = format!("BERTH_AGING_SECONDS: `{bad}` is no number of seconds");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
