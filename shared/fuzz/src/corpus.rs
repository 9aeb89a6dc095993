//! Real inputs to begin with. They are part of the program, so that it runs from anywhere.

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(include_bytes!(concat!("../../../", $path)).as_slice()),*]
    };
}

/// What Lambda hands to the admitter: the bodies are in there as text.
pub(crate) const SQS_EVENTS: &[&[u8]] = files!(
    "events/sqs-submission-one.json",
    "events/sqs-submission-constraints.json",
    "events/sqs-submission-batch-one-malformed.json",
    "events/sqs-submission-batch-refused.json",
    "events/sqs-submission-same-id.json",
    "events/sqs-wake.json",
);

/// What EventBridge sends.
pub(crate) const EVENTS: &[&[u8]] = files!(
    "events/eventbridge-instance-absurd-amount.json",
    "events/eventbridge-instance-agent-disconnected.json",
    "events/eventbridge-instance-deregistered.json",
    "events/eventbridge-instance-draining.json",
    "events/eventbridge-instance-full.json",
    "events/eventbridge-instance-gpu-unknown-resource.json",
    "events/eventbridge-instance-missing-version.json",
    "events/eventbridge-instance-other-cluster.json",
    "events/eventbridge-instance-registered.json",
    "events/eventbridge-instance-room-again.json",
    "events/eventbridge-service-action.json",
    "events/eventbridge-task-of-others.json",
    "events/eventbridge-task-running.json",
    "events/eventbridge-task-stopped-failed.json",
    "events/eventbridge-task-stopped.json",
    "events/eventbridge-task-stopping.json",
);

/// Records as they are stored.
pub(crate) const RECORDS: &[&[u8]] = files!(
    "shared/control/tests/records-v1/attributes.json",
    "shared/control/tests/records-v1/hold-never-fits.json",
    "shared/control/tests/records-v1/hold-no-instance-matches.json",
    "shared/control/tests/records-v1/hold-refused-by-ecs.json",
    "shared/control/tests/records-v1/hold-shortfall.json",
    "shared/control/tests/records-v1/instance-active.json",
    "shared/control/tests/records-v1/instance-gone.json",
    "shared/control/tests/records-v1/lane-full.json",
    "shared/control/tests/records-v1/lane-plain.json",
    "shared/control/tests/records-v1/task-doubt.json",
    "shared/control/tests/records-v1/task-ended.json",
    "shared/control/tests/records-v1/task-refused.json",
    "shared/control/tests/records-v1/task-reserved-refused-for-now.json",
    "shared/control/tests/records-v1/task-started.json",
    "shared/control/tests/records-v1/task-waiting.json",
    "shared/control/tests/records-v1/waiting-copy.json",
    "shared/control/tests/records-v2/instance-active.json",
    "shared/control/tests/records-v2/instance-gone.json",
    "shared/control/tests/records-v2/instance-odd.json",
);

/// Workloads and fleets of the local run.
pub(crate) const TABLES: &[&[u8]] = files!(
    "shared/simulator/workloads/story.csv",
    "shared/simulator/workloads/story.instances.csv",
);

/// Expressions: AWS's own examples, and the corners of the grammar.
pub(crate) const EXPRESSIONS: &[&str] = &[
    "attribute:ecs.instance-type == t2.small",
    "attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d",
    "task:group == service:production",
    "not(task:group == database)",
    "attribute:ecs.availability-zone in [us-east-1a, us-east-1b]",
    "attribute:stack !exists || runningTasksCount < 3 && agentConnected == true",
    "agentVersion >= 1.14.5 and registeredAt > 2018-02-18",
    "ec2InstanceId matches \"i-[0-9a-f]{8,17}\" or (attribute:x not_in [a] and not attribute:y exists)",
];
