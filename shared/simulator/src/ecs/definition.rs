//! Task definitions: families with numbered revisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::demand::{Overrides, TaskDefinition, TaskDefinitionStatus, demand};
use berth_scheduler::id::TaskDefinitionArn;
use berth_scheduler::resources::Demand;
use berth_scheduler::shape::Constraint;
use berth_scheduler::timestamp::Timestamp;
use serde_json::{Map, Value};

use super::error::EcsError;

/// A JSON object that is kept only to be answered again.
pub type Document = Map<String, Value>;

/// One revision of a family.
#[derive(Clone, Debug)]
pub struct Definition {
    /// What placement needs of it.
    pub definition: TaskDefinition,
    /// Its `memberOf` constraints, parsed.
    pub constraints: Vec<Constraint>,
    /// What a task takes without overrides.
    pub demand: Demand,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// When it was deregistered.
    pub deregistered_at: Option<Timestamp>,
    /// All its fields, as they were registered.
    pub document: Document,
}

impl Definition {
    /// Its ARN.
    pub fn arn(&self) -> &TaskDefinitionArn {
        &self.definition.arn
    }

    /// Its family.
    pub fn family(&self) -> &str {
        self.definition.arn.family()
    }

    /// Whether new tasks may use it.
    pub fn is_active(&self) -> bool {
        self.definition.status == TaskDefinitionStatus::Active
    }

    /// Whether its tasks get a network interface of their own.
    pub fn uses_awsvpc(&self) -> bool {
        self.definition.network_mode == berth_scheduler::demand::NetworkMode::Awsvpc
    }
}

/// All task definitions of the account.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    families: BTreeMap<String, BTreeMap<u32, Arc<Definition>>>,
}

impl Definitions {
    /// The number of a family's next revision. Numbers of deregistered revisions are not used again.
    pub(super) fn next_revision(&self, family: &str) -> u32 {
        let revisions = self.families.get(family);
        revisions
            .and_then(|revisions| revisions.last_key_value())
            .map_or(1, |(last, _)| last.saturating_add(1))
    }

    pub(super) fn register(
        &mut self,
        definition: TaskDefinition,
        registered_at: Timestamp,
        document: Document,
    ) -> Result<Arc<Definition>, EcsError> {
        let demand = demand(&definition, &Overrides::default())
            .map_err(|error| EcsError::client(error.to_string()))?;
        let parse = |text: &String| {
            Expression::parse(text)
                .map(Constraint::MemberOf)
                .map_err(|error| EcsError::invalid(format!("placementConstraints: `{text}`: {error}")))
        };
        let constraints = definition
            .placement_constraints
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()?;
        let (family, revision) = (definition.arn.family().to_owned(), revision_of(&definition.arn));
        let definition = Arc::new(Definition {
            definition,
            constraints,
            demand,
            registered_at,
            deregistered_at: None,
            document,
        });
        self.families
            .entry(family)
            .or_default()
            .insert(revision, Arc::clone(&definition));
        Ok(definition)
    }

    /// Makes a revision INACTIVE; tasks that run keep it.
    pub(super) fn deregister(&mut self, name: &str, now: Timestamp) -> Result<Arc<Definition>, EcsError> {
        if !short_name(name).contains(':') {
            return Err(EcsError::invalid(
                "Invalid revision: name a revision, as in `family:revision`.",
            ));
        }
        let known = self.find(name).ok_or_else(unknown)?;
        let revision = revision_of(known.arn());
        let stored = self
            .families
            .get_mut(known.family())
            .and_then(|family| family.get_mut(&revision));
        let stored = stored.ok_or_else(unknown)?;
        if stored.is_active() {
            let mut inactive = Definition::clone(stored);
            inactive.definition.status = TaskDefinitionStatus::Inactive;
            inactive.deregistered_at = Some(now);
            *stored = Arc::new(inactive);
        }
        Ok(Arc::clone(stored))
    }

    /// A revision by `family:revision` or ARN, or a family's latest ACTIVE revision by the family alone.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Definition>> {
        let short = short_name(name);
        let found = match short.split_once(':') {
            Some((family, revision)) => self.families.get(family)?.get(&revision.parse().ok()?)?,
            None => self
                .families
                .get(short)?
                .values()
                .rev()
                .find(|definition| definition.is_active())?,
        };
        Some(Arc::clone(found))
    }

    /// All revisions, by family and number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.families.values().flat_map(BTreeMap::values)
    }
}

/// `family` or `family:revision`, of a name or an ARN.
fn short_name(name: &str) -> &str {
    if name.starts_with("arn:") {
        name.rsplit('/').next().unwrap_or(name)
    } else {
        name
    }
}

fn revision_of(arn: &TaskDefinitionArn) -> u32 {
    let revision = arn
        .as_str()
        .rsplit_once(':')
        .and_then(|(_, revision)| revision.parse().ok());
    revision.unwrap_or(1)
}

fn unknown() -> EcsError {
    EcsError::client("Unable to describe task definition.")
}
