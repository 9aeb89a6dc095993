"""The stack end to end: the real functions in an emulator of Lambda, beside the simulator's ECS."""

import json
import threading
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployment import ACCOUNT, EVENT_SOURCE, REGION
from stack import INSTANCE_MEMORY_MIB, Stack, StartedTask, sqs_event, work
from waiting import eventually


def assert_each_started_once(stack: Stack, started: list[StartedTask], submissions: list[str]) -> None:
    """Each submission has one task, which ECS started at the first RunTask call that it was ever asked for it."""
    assert Counter(task.submission for task in started) == Counter(submissions)
    assert {task.attempt for task in started} == {1}
    for submission in submissions:
        counts = stack.run_task_counts(submission)
        assert +counts == Counter(calls=1, started=1), submission


def test_urgent_tasks_pass_the_waiting_ones_and_ecs_never_refuses_a_task(stack):
    cluster = "story"
    stack.register_instance(cluster)
    first = [f"first-{n}" for n in range(5)]
    ordinary = [f"ordinary-{n}" for n in range(7)]
    urgent = [f"urgent-{n}" for n in range(5)]

    # Five tasks fill the instance; seven more wait for room; then five urgent ones come.
    stack.submit_all([work(cluster, name, seconds=8, priority=10) for name in first])
    stack.wait_for_started(cluster, first)
    stack.submit_all([work(cluster, name, priority=10) for name in ordinary])
    stack.submit_all([work(cluster, name, seconds=6, priority=90) for name in urgent])

    everything = first + ordinary + urgent
    started = stack.wait_for_stopped(cluster, everything, seconds=90)
    assert_each_started_once(stack, started, everything)
    order = [task.submission for task in started]
    assert set(order[:5]) == set(first)
    assert set(order[5:10]) == set(urgent), order
    assert set(order[10:]) == set(ordinary)


def test_a_submission_from_before_any_capacity_starts_when_an_instance_registers(stack):
    cluster = "early"
    stack.submit(work(cluster, "early"))
    eventually(
        stack.task_items,
        lambda items: any("early" in item["pk"]["S"] + item["sk"]["S"] for item in items),
        "the submission is stored",
    )
    assert stack.started(cluster) == []
    stack.register_instance(cluster)
    started = stack.wait_for_started(cluster, ["early"])
    assert_each_started_once(stack, started, ["early"])


def test_the_same_submission_sent_again_starts_no_second_task(stack):
    cluster = "repeated"
    stack.register_instance(cluster)
    body = work(cluster, "repeated")
    stack.submit_all([body, body, body])
    stack.wait_for_stopped(cluster, ["repeated"])
    again = stack.submit(body)
    different = stack.submit(work(cluster, "repeated", priority=7))

    refusal = stack.refusal(different)
    assert refusal["field"] == "id"
    assert "`repeated` was used before with other content" in refusal["reason"]
    stack.submit(work(cluster, "after"))
    started = stack.wait_for_started(cluster, ["after"])
    assert_each_started_once(stack, started, ["repeated", "after"])
    assert again not in stack.refusals()


def test_a_count_starts_that_many_tasks(stack):
    cluster = "copies"
    stack.register_instance(cluster)
    stack.submit(work(cluster, "copies", count=3))
    copies = ["copies", "copies/2", "copies/3"]
    started = stack.wait_for_started(cluster, copies)
    assert_each_started_once(stack, started, copies)


def test_a_malformed_message_is_refused_and_its_nine_neighbours_start(stack):
    cluster = "malformed"
    stack.register_instance(cluster, memory=2048)
    names = [f"neighbour-{n}" for n in range(9)]
    bodies: list[Any] = [work(cluster, name) for name in names]
    malformed = '{"id": "broken", "cluster": "malformed", "taskDefinition": "work",}'
    bodies.insert(4, malformed)
    message_ids = stack.submit_all(bodies)

    refusal = stack.refusal(message_ids[4])
    assert refusal["body"] == malformed
    assert refusal["position"] == {"line": 1, "column": malformed.index("}") + 1}
    assert refusal["reason"]
    assert refusal["refusedAt"].endswith("Z")
    started = stack.wait_for_started(cluster, names)
    assert_each_started_once(stack, started, names)
    assert not set(message_ids[:4] + message_ids[5:]) & set(stack.refusals())


def test_one_invocation_with_a_malformed_message_reports_no_failure(stack):
    stack.register_instance("default", memory=2048)
    bodies = [json.dumps(work("default", f"batch-{n}", priority=1)) for n in range(9)]
    bodies.insert(4, "not JSON")
    answer = stack.invoke("Admitter", sqs_event(stack.outputs["SubmissionQueueArn"], bodies))
    assert answer == {"batchItemFailures": []}
    names = [f"batch-{n}" for n in range(9)]
    assert_each_started_once(stack, stack.wait_for_started("default", names), names)


def test_wakes_during_a_cycle_lose_nothing_and_start_nothing_twice(stack):
    cluster = "woken"
    stack.register_instance(cluster, memory=4096)
    stack.register_instance(cluster, memory=4096)
    names = [f"woken-{n}" for n in range(40)]

    def wake_often() -> None:
        for _ in range(10):
            stack.wake(cluster)

    wakers = [threading.Thread(target=wake_often) for _ in range(2)]
    for waker in wakers:
        waker.start()
    stack.submit_all([work(cluster, name, seconds=2) for name in names])
    for waker in wakers:
        waker.join()
    started = stack.wait_for_started(cluster, names)
    assert_each_started_once(stack, started, names)


def test_clusters_of_one_deployment_keep_their_tasks_apart(stack):
    instances = {cluster: stack.register_instance(cluster) for cluster in ("east", "west")}
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/west"
    stack.submit_all([work("east", "to-east"), work(arn, "to-west")])
    for cluster, name in (("east", "to-east"), ("west", "to-west")):
        started = stack.wait_for_started(cluster, [name])
        assert_each_started_once(stack, started, [name])
        assert started[0].instance == instances[cluster]


def test_a_task_too_large_for_every_instance_is_held_and_blocks_nobody(stack):
    cluster = "large"
    stack.register_instance(cluster)
    stack.register_task_definition("huge", memory=8192)
    stack.submit(work(cluster, "huge", priority=1000, taskDefinition="huge"))
    stack.submit_all([work(cluster, f"small-{n}") for n in range(5)])
    small = [f"small-{n}" for n in range(5)]
    stack.wait_for_started(cluster, small)
    eventually(
        stack.task_items,
        lambda items: any("neverFits" in json.dumps(item) for item in items),
        "the reason NeverFits is recorded",
    )
    # An instance may yet come.
    stack.register_instance(cluster, memory=16384)
    started = stack.wait_for_started(cluster, ["huge"])
    assert_each_started_once(stack, started, [*small, "huge"])


# ---- What Berth refuses: the body, the field that is named, words of the reason.

NESTED = '{"tags": ' + "[" * 1000 + "]" * 1000 + "}"
REFUSED: dict[str, tuple[dict[str, Any] | str, str | None, list[str]]] = {
    "not JSON": ("hello", None, []),
    "not an object": ("[1, 2]", None, ["object"]),
    "over 64 KiB": (work("refused", "x", group="g" * 70_000), None, ["65536"]),
    "a key twice": ('{"taskDefinition": "work", "priority": 1, "priority": 2}', "priority", []),
    # As far as it is read.
    "nested too deeply": (NESTED, "tags" + "[0]" * 31, []),
    "an unknown field": (work("refused", "x", priorty=1), "priorty", ["unknown field", "did you mean `priority`?"]),
    "a wrong type": (work("refused", "x", priority="high"), "priority", ["high"]),
    "priority out of range": (work("refused", "x", priority=1001), "priority", ["`1001`", "1000"]),
    "count 0": (work("refused", "x", count=0), "count", ["`0`", "10"]),
    "count 11": (work("refused", "x", count=11), "count", ["`11`", "10"]),
    "Fargate": (work("refused", "x", launchType="FARGATE"), "launchType", ["FARGATE", "EC2"]),
    "a capacity provider": (
        work("refused", "x", capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT"}]),
        "capacityProviderStrategy",
        [],
    ),
    "a command": (
        work("refused", "x", overrides={"containerOverrides": [{"name": "main", "command": ["sh"]}]}),
        "overrides.containerOverrides[0].command",
        ["AllowedOverrides"],
    ),
    "a task role": (
        work("refused", "x", overrides={"taskRoleArn": "arn:aws:iam::000000000000:role/admin"}),
        "overrides.taskRoleArn",
        ["AllowedOverrides"],
    ),
    "an execution role": (
        work("refused", "x", overrides={"executionRoleArn": "arn:aws:iam::000000000000:role/admin"}),
        "overrides.executionRoleArn",
        ["AllowedOverrides"],
    ),
    "a shell": (work("refused", "x", enableExecuteCommand=True), "enableExecuteCommand", ["AllowedOverrides"]),
    "an unknown cluster": (work("elsewhere", "x"), "cluster", ["`elsewhere`"]),
    "an unknown task definition": (
        work("refused", "x", taskDefinition="nothing:7"),
        "taskDefinition",
        ["`nothing:7`", "not known"],
    ),
    "an inactive revision": (work("refused", "x", taskDefinition="retired:1"), "taskDefinition", ["INACTIVE"]),
}


@pytest.fixture(scope="module")
def refused_messages(stack) -> dict[str, str]:
    """All of them sent at once; by name, the message ids."""
    retired = stack.register_task_definition("retired")
    stack.ecs.deregister_task_definition(taskDefinition=retired)
    return dict(zip(REFUSED, stack.submit_all([body for body, _, _ in REFUSED.values()]), strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_with_its_field_and_reason(stack, refused_messages, name):
    body, field, words = REFUSED[name]
    refusal = stack.refusal(refused_messages[name])
    assert refusal["field"] == field
    for word in words:
        assert word in refusal["reason"]
    sent = body if isinstance(body, str) else json.dumps(body)
    assert sent.startswith(refusal["body"][:1000])


def test_what_was_refused_has_started_nothing(stack, refused_messages):
    for message_id in refused_messages.values():
        stack.refusal(message_id)
    assert stack.started("refused") == []
    assert not stack.run_task_counts("x")


# ---- Events.


def ecs_event(kind: str, detail: dict[str, Any]) -> dict[str, Any]:
    """An event as EventBridge hands it to a function."""
    return {
        "version": "0",
        "id": "8952ba83-7be2-4ab5-9c32-6687532d15a2",
        "detail-type": kind,
        "source": EVENT_SOURCE,
        "account": ACCOUNT,
        "time": "2026-11-21T10:00:00Z",
        "region": REGION,
        "resources": [],
        "detail": detail,
    }


def instance_detail(cluster: str, name: str, version: Any = 1, memory: Any = INSTANCE_MEMORY_MIB) -> dict[str, Any]:
    resources = [
        {"name": "CPU", "type": "INTEGER", "integerValue": 1024},
        {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
    ]
    return {
        "agentConnected": True,
        "attributes": [],
        "clusterArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{cluster}",
        "containerInstanceArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/{cluster}/{name}",
        "ec2InstanceId": "i-0123456789abcdef0",
        "registeredResources": resources,
        "remainingResources": resources,
        "status": "ACTIVE",
        "version": version,
        "updatedAt": "2026-11-21T10:00:00.000Z",
    }


def items_of(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [item for item in stack.capacity_items() if name in json.dumps(item)]


def test_events_that_make_no_sense_harm_no_record(stack):
    cluster, kind = "noise", "ECS Container Instance State Change"
    arn = stack.register_instance(cluster)
    name = arn.rpartition("/")[2]
    eventually(lambda: items_of(stack, name), bool, "the instance is recorded")
    before = items_of(stack, name)

    no_version = instance_detail(cluster, name)
    del no_version["version"]
    for event in [
        ecs_event("ECS Service Action", {"eventType": "INFO", "eventName": "SERVICE_STEADY_STATE"}),
        ecs_event(kind, {}),
        ecs_event(kind, {"clusterArn": 7, "version": "many"}),
        ecs_event(kind, no_version),
        ecs_event(kind, instance_detail(cluster, name, version=-1)),
        ecs_event(kind, instance_detail(cluster, name, version=10**30)),
        ecs_event(kind, instance_detail(cluster, name, version=99, memory=-5)),
        ecs_event(kind, instance_detail(cluster, name, version=99, memory=10**20)),
        ecs_event(kind, instance_detail("elsewhere", name, version=99)),
        ecs_event("ECS Task State Change", {"taskArn": "nonsense", "lastStatus": 3}),
    ]:
        stack.invoke("CapacityTracker", event)
    assert items_of(stack, name) == before

    stack.submit(work(cluster, "quiet"))
    stack.wait_for_started(cluster, ["quiet"])


def test_the_rule_brings_events_of_the_clusters_to_capacity_tracker(stack):
    kind = "ECS Container Instance State Change"
    stack.events.put_events(
        Entries=[
            {"Source": EVENT_SOURCE, "DetailType": detail_type, "Detail": json.dumps(instance_detail(cluster, name))}
            for cluster, name, detail_type in [
                ("elsewhere", "1" * 32, kind),
                ("noise", "2" * 32, "ECS Deployment State Change"),
                ("noise", "3" * 32, kind),
            ]
        ]
    )
    eventually(lambda: items_of(stack, "3" * 32), bool, "the event has passed the rule")
    assert items_of(stack, "1" * 32) == items_of(stack, "2" * 32) == []


def test_the_reconciler_finds_an_instance_whose_event_was_lost(stack):
    cluster = "drift"
    name = stack.register_instance(cluster).rpartition("/")[2]
    for item in eventually(lambda: items_of(stack, name), bool, "the instance is recorded"):
        stack.dynamodb.delete_item(
            TableName=stack.outputs["CapacityTableName"], Key={"pk": item["pk"], "sk": item["sk"]}
        )
    stack.submit(work(cluster, "patient"))
    stack.invoke("Reconciler", {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})
    started = stack.wait_for_started(cluster, ["patient"])
    assert_each_started_once(stack, started, ["patient"])


# ---- What people and others are told.


def test_a_waiting_task_is_told_its_place_and_everybody_what_becomes_of_it(stack):
    cluster = "told"
    stack.listen_to_published_events()
    stack.submit(work(cluster, "told-1", priority=5))

    def ask() -> dict[str, Any]:
        return stack.invoke("TaskStatus", {"id": "told-1"}).get("tasks", [{}])[0]

    told = eventually(ask, lambda told: "hold" in told, "the task is told why it waits")
    assert (told["state"], told["position"], told["hold"]["reason"]) == ("waiting", 1, "noInstances")
    told = stack.invoke("TaskStatus", {"cluster": cluster})
    assert [place["task"] for place in told["order"]] == ["told-1"]
    assert "no task `nobody` is known" in stack.invoke("TaskStatus", {"id": "nobody"})["error"]
    held = eventually(lambda: stack.published("Berth Lane Held", cluster=cluster), bool, "its lane is told of")
    assert held[0]["reason"]["reason"] == "noInstances"

    stack.register_instance(cluster)
    stack.wait_for_stopped(cluster, ["told-1"])
    changes = eventually(
        lambda: stack.published("Berth Task State Change", task="told-1"),
        lambda changes: "succeeded" in {change["state"] for change in changes},
        "the task's end is published",
    )
    # Queues do not keep the order, and at least once is more than once now and then: that is what `sequence` is for.
    in_order = {change["sequence"]: change for change in changes}
    states = [in_order[sequence]["state"] for sequence in sorted(in_order)]
    assert states == ["waiting", "reserved", "started", "succeeded"]
    assert "BERTH_TASK_SECONDS" not in json.dumps(changes)


# ---- Permissions. All of the above has run with the functions held to their roles.


def test_a_queue_refuses_calls_without_tls(stack):
    with pytest.raises(ClientError, match="AccessDenied"):
        stack.sqs_without_tls.send_message(QueueUrl=stack.outputs["SubmissionQueueUrl"], MessageBody="{}")


# ---- After everything above.


def test_ecs_has_started_a_task_at_every_call(stack):
    counts = stack.all_run_task_counts()
    assert counts["started"] == counts["calls"] > 0
    assert counts["refused"] == counts["failed"] == counts["repeated"] == 0


def test_nothing_has_ended_in_a_dead_letter_queue(stack):
    for url in stack.sqs.list_queues(QueueNamePrefix="berth-")["QueueUrls"]:
        if "DeadLetter" in url:
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            counts = stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            assert set(counts.values()) == {"0"}, url
