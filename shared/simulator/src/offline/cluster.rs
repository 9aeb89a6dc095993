//! The cluster in a file.

use std::fmt;
use std::sync::Arc;

use berth_control::wire::container_instance::{DescribeFailure, decode_container_instances};
use berth_control::wire::refusal::Refusal;
use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::id::ContainerInstanceArn;
use berth_scheduler::instance::{Observed, observe};
use berth_scheduler::report::InstanceReport;
use berth_scheduler::resources::Resources;
use berth_scheduler::snapshot::{InstanceView, Snapshot};

/// Container instances as `aws ecs describe-container-instances` described them.
///
/// Tasks are not part of that output. So `task:group` matches nothing here, and tasks in `awsvpc` mode that
/// run already are not counted against the network interfaces of their instances.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    instances: Vec<InstanceView>,
    failures: Vec<DescribeFailure>,
}

impl Cluster {
    /// Reads the output of `aws ecs describe-container-instances`.
    ///
    /// # Errors
    /// When the text is not such an output.
    pub fn parse(json: &str) -> Result<Self, Refusal> {
        let described = decode_container_instances(json)?;
        Ok(Self {
            instances: described.reports.into_iter().filter_map(view).collect(),
            failures: described.failures,
        })
    }

    /// The instances, in the order of the file.
    pub fn instances(&self) -> &[InstanceView] {
        &self.instances
    }

    /// What ECS could not describe.
    pub fn failures(&self) -> &[DescribeFailure] {
        &self.failures
    }

    /// The instances that satisfy an expression, in the order of the file; all of them without one. As for
    /// ListContainerInstances, their status and agent make no difference.
    pub fn matching(&self, filter: Option<&Expression>) -> Vec<&InstanceView> {
        let matches = |instance: &&InstanceView| filter.is_none_or(|filter| filter.matches(*instance));
        self.instances.iter().filter(matches).collect()
    }

    /// What placement starts from.
    ///
    /// # Errors
    /// When nothing is said about the resources of an instance that takes tasks.
    pub fn snapshot(&self) -> Result<Snapshot, WithoutResources> {
        let without = self.instances.iter().find(|instance| {
            instance.record.is_candidate() && instance.record.state().registered == Resources::default()
        });
        match without {
            Some(instance) => Err(WithoutResources {
                instance: instance.record.arn().clone(),
            }),
            None => Ok(Snapshot::new(self.instances.clone())),
        }
    }
}

fn view(mut report: InstanceReport) -> Option<InstanceView> {
    let Observed::Updated(record) = observe(None, &report) else {
        // The first report of an instance is always news.
        return None;
    };
    Some(InstanceView {
        record: Arc::from(record),
        attributes: Arc::new(report.attributes.take().unwrap_or_default()),
    })
}

/// The file does not tell what an instance has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithoutResources {
    instance: ContainerInstanceArn,
}

impl fmt::Display for WithoutResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` has no registeredResources: give the whole output of `aws ecs describe-container-instances`",
            self.instance
        )
    }
}

impl std::error::Error for WithoutResources {}
