//! How long tasks run: one item for each family, one number for each class of run times. An end is counted by
//! adding to a number, without a look before.

use aws_sdk_dynamodb::types::AttributeValue;
use berth_control::ports::PortError;
use berth_control::records::form::SCHEMA;
use berth_control::records::run_time as record;
use berth_scheduler::id::{ClusterName, TaskFamily};
use berth_scheduler::run_time::{RunTimeBucket, RunTimeCounts, RunTimes};

use super::item::{key_item, text};
use super::key;
use super::{DynamoLedger, SERVICE, read, written};
use crate::error::port_error;

fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

impl DynamoLedger {
    pub(super) async fn add_run_time(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
        bucket: RunTimeBucket,
    ) -> Result<(), PortError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.tables.tasks)
            .set_key(Some(key_item(&key::run_times_of(cluster, family))));
        let request = request
            .update_expression("SET #schema = :schema ADD #bucket :one")
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_names("#bucket", record::field(bucket))
            .expression_attribute_values(":schema", number(SCHEMA))
            .expression_attribute_values(":one", number(1));
        let answer = request.send().await;
        answer
            .map(|_| ())
            .map_err(|error| port_error(SERVICE, "UpdateItem", &error))
    }

    /// Not consistently, for half the price.
    pub(super) async fn read_run_times_of(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
    ) -> Result<RunTimeCounts, PortError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.tables.tasks)
            .set_key(Some(key_item(&key::run_times_of(cluster, family))));
        let answer = request.send().await;
        let item = answer
            .map_err(|error| port_error(SERVICE, "GetItem", &error))?
            .item;
        item.map_or_else(
            || Ok(RunTimeCounts::default()),
            |item| read(&item, record::from_json),
        )
    }

    pub(super) async fn read_run_times(&self, cluster: &ClusterName) -> Result<RunTimes, PortError> {
        let items = self
            .query_all(&self.tables.tasks, &key::run_times(cluster))
            .await?;
        let families = items.iter().filter_map(|item| {
            let family = TaskFamily::parse(text(item, key::SORT)?).ok()?;
            Some(read(item, record::from_json).map(|counts| (family, counts)))
        });
        families.collect()
    }

    pub(super) async fn write_half(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
        seen: &RunTimeCounts,
    ) -> Result<(), PortError> {
        let Some(halved) = seen.halved() else {
            return Ok(());
        };
        let mut request = self
            .client
            .update_item()
            .table_name(&self.tables.tasks)
            .set_key(Some(key_item(&key::run_times_of(cluster, family))));
        let (mut settings, mut conditions) = (Vec::new(), Vec::new());
        for bucket in RunTimeBucket::all() {
            let (name, field) = (format!("#{}", record::field(bucket)), record::field(bucket));
            request = request.expression_attribute_names(&name, &field);
            if seen.count(bucket) == 0 {
                conditions.push(format!("attribute_not_exists({name})"));
                continue;
            }
            conditions.push(format!("{name} = :seen{field}"));
            settings.push(format!("{name} = :half{field}"));
            request = request
                .expression_attribute_values(format!(":seen{field}"), number(seen.count(bucket)))
                .expression_attribute_values(format!(":half{field}"), number(halved.count(bucket)));
        }
        let request = request
            .update_expression(format!("SET {}", settings.join(", ")))
            .condition_expression(conditions.join(" AND "));
        written("UpdateItem", request.send().await).map(|_| ())
    }
}
