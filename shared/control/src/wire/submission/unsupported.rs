//! Fields that a user may well expect to work, and why they do not.

/// Why a known field is refused; `None` for any other field.
pub(super) fn reason_unsupported(field: &str) -> Option<&'static str> {
    Some(match field {
        "volumeConfigurations" => {
            "not supported: Berth does not attach volumes; configure them in the task definition"
        }
        "platformVersion" => {
            "not supported: it is for Fargate, which needs no waiting for room; leave it out"
        }
        "capacityProviderStrategy" => {
            "not supported: Berth chooses among container instances that exist; give `launchType` `EC2` or `EXTERNAL` instead"
        }
        "clientToken" => "not supported: Berth sets it, so that no task starts twice; give `id` instead",
        "startedBy" => {
            "not supported: Berth sets it, to know its tasks again; give `group` or `tags` instead"
        }
        "referenceId" => "not supported: it is for AWS's own use; give `id` instead",
        _ => return None,
    })
}
