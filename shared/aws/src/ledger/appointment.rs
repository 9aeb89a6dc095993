//! Moments at which tasks must be looked at.

use aws_sdk_dynamodb::types::AttributeValue;
use berth_control::ports::PortError;
use berth_control::records::{Appointment, appointment as record};
use berth_scheduler::id::ClusterName;
use berth_scheduler::timestamp::Timestamp;

use super::item::{item_of, key_item};
use super::key;
use super::{DynamoLedger, SERVICE, read};
use crate::error::port_error;

/// Most appointments of one page, whatever the reader asks for.
const PAGE_MAX: i32 = 1_000;

impl DynamoLedger {
    pub(super) async fn note(&self, cluster: &ClusterName, it: &Appointment) -> Result<(), PortError> {
        let item = item_of(&key::appointment(cluster, it), &record::to_json(it));
        self.put(&self.tables.tasks, item).await
    }

    pub(super) async fn forget(&self, cluster: &ClusterName, it: &Appointment) -> Result<(), PortError> {
        let request = self.client.delete_item().table_name(&self.tables.tasks);
        let request = request.set_key(Some(key_item(&key::appointment(cluster, it))));
        let answer = request.send().await;
        answer
            .map(|_| ())
            .map_err(|error| port_error(SERVICE, "DeleteItem", &error))
    }

    pub(super) async fn appointments_due(
        &self,
        cluster: &ClusterName,
        due_by: Timestamp,
        most: usize,
    ) -> Result<Vec<Appointment>, PortError> {
        let mut appointments = Vec::new();
        let mut from = None;
        loop {
            let left = most.saturating_sub(appointments.len());
            let limit = i32::try_from(left).unwrap_or(PAGE_MAX).min(PAGE_MAX);
            let request = self
                .client
                .query()
                .table_name(&self.tables.tasks)
                .consistent_read(true);
            let request = request
                .key_condition_expression("#pk = :pk AND #sk < :behind")
                .expression_attribute_names("#pk", key::PARTITION)
                .expression_attribute_names("#sk", key::SORT)
                .expression_attribute_values(":pk", AttributeValue::S(key::appointments(cluster)))
                .expression_attribute_values(":behind", AttributeValue::S(record::sort_key_after(due_by)))
                .set_exclusive_start_key(from)
                .limit(limit);
            let answer = request.send().await;
            let answer = answer.map_err(|error| port_error(SERVICE, "Query", &error))?;
            for item in answer.items.unwrap_or_default() {
                appointments.push(read(&item, record::from_json)?);
            }
            from = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() || appointments.len() >= most {
                return Ok(appointments);
            }
        }
    }
}
