//! Capacity records with their attributes.

use std::sync::{Arc, PoisonError};

use berth_control::ports::PortError;
use berth_control::records::form::RecordError;
use berth_control::records::{attributes as attribute_record, instance};
use berth_scheduler::attributes::{AttributeSet, Fingerprint};
use berth_scheduler::id::{ClusterName, ContainerInstanceArn};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::report::InstanceStatus;
use berth_scheduler::snapshot::InstanceView;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::item::record_of;
use super::{DynamoLedger, key, read};

/// Attributes that cannot be read: whose they are, why, and what is stored.
pub(super) type Unreadable = (ContainerInstanceArn, RecordError, Value);

/// Attribute records read at the same time. A process that has just begun wants all of them, up to 5,000: that
/// is then a second's work.
const READS_AT_ONCE: usize = 32;

impl DynamoLedger {
    pub(super) async fn load_views(&self, cluster: &ClusterName) -> Result<Vec<InstanceView>, PortError> {
        let items = self
            .query_all(&self.tables.capacity, &key::instances(cluster))
            .await?;
        let mut records = Vec::with_capacity(items.len());
        for item in &items {
            let record = match read(item, instance::from_json) {
                Ok(record) => record,
                Err(error) => {
                    tracing::warn!(%error, "a capacity record is left out");
                    continue;
                }
            };
            if record.state().status != InstanceStatus::Inactive || !record.state().reservations.is_empty() {
                records.push(record);
            }
        }
        let unreadable = self.read_unknown_attributes(cluster, &records).await?;
        for (arn, error, _) in &unreadable {
            tracing::warn!(%cluster, instance = arn.id(), %error, "the attributes of an instance cannot be read");
        }
        // Where the attributes are not known, constraints cannot be told.
        let known = |record: &InstanceRecord| unreadable.iter().all(|(arn, ..)| arn != record.arn());
        let known = records.into_iter().filter(known);
        Ok(known.map(|record| self.view_of(record)).collect())
    }

    /// Reads the attributes that are not in memory, or that changed since they were read. Answers what cannot be read.
    pub(super) async fn read_unknown_attributes(
        &self,
        cluster: &ClusterName,
        records: &[InstanceRecord],
    ) -> Result<Vec<Unreadable>, PortError> {
        let wanted: Vec<&ContainerInstanceArn> = {
            let known = self.attributes.lock().unwrap_or_else(PoisonError::into_inner);
            let unknown = |record: &&InstanceRecord| {
                let fingerprint = record.state().attributes;
                fingerprint != Fingerprint::default()
                    && known
                        .get(record.arn())
                        .is_none_or(|(known, _)| *known != fingerprint)
            };
            records.iter().filter(unknown).map(InstanceRecord::arn).collect()
        };
        let reads = stream::iter(wanted).map(|arn| self.read_attributes(cluster, arn));
        let read: Vec<Option<_>> = reads.buffered(READS_AT_ONCE).try_collect().await?;
        let mut known = self.attributes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unreadable = Vec::new();
        for (arn, content, attributes) in read.into_iter().flatten() {
            match attributes {
                Ok(attributes) => {
                    known.insert(arn, (attributes.fingerprint(), Arc::new(attributes)));
                }
                Err(error) => unreadable.push((arn, error, content)),
            }
        }
        Ok(unreadable)
    }

    async fn read_attributes(
        &self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
    ) -> Result<Option<(ContainerInstanceArn, Value, Result<AttributeSet, RecordError>)>, PortError> {
        let item = self
            .get(&self.tables.capacity, &key::attributes(cluster, arn))
            .await?;
        let content = item.as_ref().map(record_of);
        Ok(content.map(|content| {
            let attributes = attribute_record::from_json(&content);
            (arn.clone(), content, attributes)
        }))
    }

    /// The record with the newest attributes that were read. They are written before the record that carries
    /// their fingerprint, so they may be newer than it, and it will soon follow.
    fn view_of(&self, record: InstanceRecord) -> InstanceView {
        let known = self.attributes.lock().unwrap_or_else(PoisonError::into_inner);
        let attributes = match known.get(record.arn()) {
            Some((_, attributes)) if record.state().attributes != Fingerprint::default() => {
                Arc::clone(attributes)
            }
            _ => Arc::default(),
        };
        InstanceView {
            record: Arc::new(record),
            attributes,
        }
    }
}
