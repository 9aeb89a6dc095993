//! How many tasks in `awsvpc` mode an instance type has network interfaces for.

use crate::attributes::AttributeSet;
use crate::quantity::EniCount;

/// The limit for an instance with these attributes; `None` when its type is not known.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-eni.html>
pub fn task_limit(attributes: &AttributeSet) -> Option<EniCount> {
    let _instance_type = attributes.value("ecs.instance-type")?;
    None
}
