//! What is known of how long a task will run, as part of stored records. What is not known is left out, and so
//! is a family that the task's group names already.

use serde::{Deserialize, Serialize};

use berth_scheduler::id::{TaskFamily, TaskGroup};
use berth_scheduler::run_time::{RunOutlook, RunSeconds, family_of_group};

use super::form::Text;

/// Run times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutlookForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    family: Option<Text<TaskFamily>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
}

impl OutlookForm {
    pub(super) fn new(outlook: &RunOutlook, group: &TaskGroup) -> Self {
        let by_group = family_of_group(group);
        Self {
            family: outlook
                .family
                .clone()
                .filter(|family| by_group.as_ref() != Some(family))
                .map(Text),
            expected_seconds: outlook.expected.map(RunSeconds::get),
            timeout_seconds: outlook.timeout.map(RunSeconds::get),
        }
    }

    /// A run time that is out of range is read as not known: it only helps to choose.
    pub(super) fn read(self, group: &TaskGroup) -> RunOutlook {
        RunOutlook {
            family: self
                .family
                .map(|family| family.0)
                .or_else(|| family_of_group(group)),
            expected: self.expected_seconds.and_then(RunSeconds::new),
            timeout: self.timeout_seconds.and_then(RunSeconds::new),
        }
    }
}
