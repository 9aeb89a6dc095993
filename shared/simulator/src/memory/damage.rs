//! Records that tests have damaged.

use berth_control::damage::{Damaged, RecordName, Replaced, Replacement};
use berth_control::ports::PortError;
use berth_control::records::form::RecordError;
use berth_control::records::{instance, lane, task, waiting};
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, LaneKey, TaskId};
use berth_scheduler::snapshot::InstanceView;
use serde_json::Value;
use std::sync::Arc;

use super::{ClusterTables, MemoryLedger, StoredLaneRecord, Tables};

/// First entries of a damaged lane that are told.
const HEADS_MAX: usize = 10;

impl MemoryLedger {
    /// Damages what is stored under this name: `break_it` changes its JSON so that it cannot be read.
    pub fn damage(&self, cluster: &ClusterName, name: &RecordName, break_it: impl FnOnce(&mut Value)) {
        let mut tables = self.tables.borrow_mut();
        let Some(mut content) = content_of(&tables, cluster, name) else {
            return;
        };
        break_it(&mut content);
        let read = match name {
            RecordName::Task(_) => task::from_json(&content).err(),
            RecordName::Instance(_) => instance::from_json(&content).err(),
            RecordName::Lane(_) => lane::from_json(&content).err(),
            RecordName::Waiting { .. } => waiting::from_json(&content).err(),
            RecordName::Attributes(_) => None,
        };
        if let Some(error) = read {
            tables.damaged.insert(name.clone(), (content, error));
        }
    }

    /// The names of a cluster's capacity records, lanes and entries: what [`Self::damage`] can damage.
    pub fn names(&self, cluster: &ClusterName) -> Vec<RecordName> {
        let tables = self.tables.borrow();
        let Some(of_cluster) = tables.clusters.get(cluster) else {
            return Vec::new();
        };
        let instances = of_cluster.instances.keys().map(instance_name);
        let lanes = of_cluster.lanes.keys().cloned().map(RecordName::Lane);
        let entries = of_cluster.waiting.iter();
        let entries = entries.flat_map(|(lane, entries)| entries.keys().map(|rank| entry_name(lane, rank)));
        instances.chain(lanes).chain(entries).collect()
    }

    /// Damaged records that were replaced, as they were.
    pub fn set_aside(&self) -> Vec<Damaged> {
        self.tables.borrow().set_aside.clone()
    }

    pub(super) fn damaged_records(&self, cluster: &ClusterName) -> Vec<Damaged> {
        let tables = self.tables.borrow();
        let names = tables
            .damaged
            .keys()
            .filter(|name| !matches!(name, RecordName::Task(_)));
        let of_cluster = names.filter(|name| content_of(&tables, cluster, name).is_some());
        of_cluster
            .filter_map(|name| damaged(&tables, cluster, name))
            .collect()
    }

    pub(super) fn damaged_task(&self, task: &TaskId) -> Option<Damaged> {
        let tables = self.tables.borrow();
        let name = RecordName::Task(task.clone());
        let (content, error) = tables.damaged.get(&name)?;
        Some(Damaged {
            name,
            error: error.clone(),
            content: content.clone(),
            waiting: Vec::new(),
        })
    }

    pub(super) fn put_in_place(&self, cluster: &ClusterName, of: &Damaged, with: Replacement) -> Replaced {
        let mut tables = self.tables.borrow_mut();
        if tables.damaged.remove(&of.name).is_none() {
            return Replaced::Moved;
        }
        tables.set_aside.push(of.clone());
        if let RecordName::Task(task) = &of.name {
            tables.tasks.remove(task);
        }
        let of_cluster = tables.clusters.entry(cluster.clone()).or_default();
        remove(of_cluster, &of.name);
        match with {
            Replacement::Instance(record) => {
                let attributes = of_cluster
                    .attributes
                    .get(record.arn())
                    .cloned()
                    .unwrap_or_default();
                let arn = record.arn().clone();
                let record = Arc::new(*record);
                of_cluster
                    .instances
                    .insert(arn, InstanceView { record, attributes });
            }
            Replacement::Lane(record) => {
                let stored = StoredLaneRecord {
                    record,
                    hold: None,
                    claims: Vec::new(),
                };
                of_cluster.lanes.insert(stored.record.key.clone(), stored);
            }
            Replacement::Waiting(entry) => {
                if let RecordName::Waiting { lane, .. } = &of.name {
                    let waiting = of_cluster.waiting.entry(lane.clone()).or_default();
                    waiting.insert(entry.rank.clone(), entry);
                }
            }
            Replacement::Attributes(_) | Replacement::Nothing => {}
        }
        Replaced::Done
    }
}

impl Tables {
    /// The error of whoever reads a damaged record by its name.
    pub(super) fn check(&self, name: &RecordName) -> Result<(), PortError> {
        match self.damaged.get(name) {
            None => Ok(()),
            Some((_, error)) => Err(PortError::Unreadable {
                key: name.to_string(),
                reason: error.to_string(),
            }),
        }
    }

    pub(super) fn is_damaged(&self, name: &RecordName) -> bool {
        self.damaged.contains_key(name)
    }
}

pub(super) fn instance_name(arn: &ContainerInstanceArn) -> RecordName {
    RecordName::Instance(arn.id().to_owned())
}

pub(super) fn entry_name(lane: &LaneKey, rank: &berth_scheduler::waiting::Rank) -> RecordName {
    RecordName::Waiting {
        lane: lane.clone(),
        place: waiting::sort_key(rank),
    }
}

fn damaged(tables: &Tables, cluster: &ClusterName, name: &RecordName) -> Option<Damaged> {
    let (content, error): &(Value, RecordError) = tables.damaged.get(name)?;
    let waiting = match name {
        RecordName::Lane(lane) => {
            let waiting = tables.clusters.get(cluster)?.waiting.get(lane);
            let entries = waiting.into_iter().flatten().take(HEADS_MAX);
            entries.map(|(rank, _)| rank.task()).collect()
        }
        _ => Vec::new(),
    };
    Some(Damaged {
        name: name.clone(),
        error: error.clone(),
        content: content.clone(),
        waiting,
    })
}

/// What is stored under a name, as JSON.
fn content_of(tables: &Tables, cluster: &ClusterName, name: &RecordName) -> Option<Value> {
    let of_cluster = tables.clusters.get(cluster);
    match name {
        RecordName::Task(task) => tables.tasks.get(task).map(task::to_json),
        RecordName::Instance(id) => {
            let view = of_cluster?.instances.iter().find(|(arn, _)| arn.id() == id)?.1;
            Some(instance::to_json(&view.record))
        }
        RecordName::Attributes(_) => None,
        RecordName::Lane(key) => Some(lane::to_json(&of_cluster?.lanes.get(key)?.record)),
        RecordName::Waiting { lane, place } => {
            let entries = of_cluster?.waiting.get(lane)?;
            let (_, entry) = entries
                .iter()
                .find(|(rank, _)| waiting::sort_key(rank) == *place)?;
            Some(waiting::to_json(entry))
        }
    }
}

fn remove(tables: &mut ClusterTables, name: &RecordName) {
    match name {
        RecordName::Instance(id) => tables.instances.retain(|arn, _| arn.id() != id),
        RecordName::Lane(key) => {
            tables.lanes.remove(key);
        }
        RecordName::Waiting { lane, place } => {
            if let Some(entries) = tables.waiting.get_mut(lane) {
                entries.retain(|rank, _| waiting::sort_key(rank) != *place);
            }
        }
        RecordName::Task(_) | RecordName::Attributes(_) => {}
    }
}
