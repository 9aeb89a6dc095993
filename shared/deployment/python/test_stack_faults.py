"""The stack while calls fail and functions are killed: nothing is lost, nothing is started twice, and the order holds.

What is counted is what ECS was asked and what it has started, never what Berth believes. The submission queue shows a
message again after seconds here, not after the six minutes of the template, so that what failed comes back soon.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from deployment import ROOT, SCRATCH
from faults import REPLY_LOST, Faulty, Rule
from stack import TASK_MEMORY_MIB, Stack, command, work
from waiting import eventually

SUBMISSION_VISIBLE_AGAIN_SECONDS = 5
# A killed cycle's turn is free after a minute; then the reconciler, which comes every minute, wakes the next one.
RECOVERY_SECONDS_MAX = 240
# The states of a task record that no longer changes by itself.
ENDED = {"succeeded", "failed", "cancelled", "expired", "refused"}
KILLING_SECONDS = 25
KILL_EVERY_SECONDS = 0.7


def error(code: str, status: int = 400, message: str = "broken on purpose", **fields: object) -> Rule:
    given = {"fields": fields} if fields else {}
    return {"error": {"code": code, "status": status, "message": message} | given}


def chance(probability: float, service: str, fault: Rule, operation: str | None = None) -> Rule:
    named = {"operation": operation} if operation else {}
    return {"service": service, "probability": probability} | named | fault


# What the functions meet when they call DynamoDB and SQS. The SDK tries such a call three times.
AWS_FAULTS: dict[str, Rule] = {
    "DynamoDB throttles": chance(0.04, "dynamodb", error("ProvisionedThroughputExceededException")),
    "DynamoDB fails": chance(0.04, "dynamodb", error("InternalServerError", 500)),
    "DynamoDB: connection reset": chance(0.03, "dynamodb", {"reset": True}),
    "DynamoDB: reply lost": chance(0.03, "dynamodb", REPLY_LOST),
    "PutItem: reply lost": chance(0.1, "dynamodb", REPLY_LOST, "PutItem"),
    "UpdateItem: reply lost": chance(0.15, "dynamodb", REPLY_LOST, "UpdateItem"),
    "DeleteItem: reply lost": chance(0.15, "dynamodb", REPLY_LOST, "DeleteItem"),
    "PutItem: conflict": chance(0.1, "dynamodb", error("TransactionConflictException"), "PutItem"),
    "SQS fails": chance(0.15, "sqs", error("InternalError", 500), "SendMessage"),
    "SQS: connection reset": chance(0.2, "sqs", {"reset": True}, "SendMessage"),
    "SQS: reply lost": chance(0.15, "sqs", REPLY_LOST, "SendMessage"),
}
# RunTask is called once, whatever comes of it.
ECS_FAULTS: dict[str, Rule] = {
    "RunTask: reply lost": chance(0.15, "ecs", REPLY_LOST, "RunTask"),
    "RunTask throttles": chance(0.1, "ecs", error("ThrottlingException"), "RunTask"),
    "RunTask fails": chance(0.15, "ecs", error("ServerException", 500), "RunTask"),
    "RunTask: connection reset": chance(0.15, "ecs", {"reset": True}, "RunTask"),
    "DescribeTaskDefinition throttles": chance(0.15, "ecs", error("ThrottlingException"), "DescribeTaskDefinition"),
    "DescribeContainerInstances fails": chance(0.3, "ecs", error("ServerException", 500), "DescribeContainerInstances"),
    "ListContainerInstances: reply lost": chance(0.2, "ecs", REPLY_LOST, "ListContainerInstances"),
}


@pytest.fixture(autouse=True)
def _short_visibility(faulty):
    faulty.stack.sqs.set_queue_attributes(
        QueueUrl=faulty.stack.outputs["SubmissionQueueUrl"],
        Attributes={"VisibilityTimeout": str(SUBMISSION_VISIBLE_AGAIN_SECONDS)},
    )


@pytest.fixture(autouse=True)
def _faults_end(faulty):
    yield
    faulty.aws.end()
    faulty.ecs.end()


def assert_started_once(stack: Stack, submissions: list[str]) -> None:
    """However often RunTask was called for a submission, ECS has started one task."""
    for submission in submissions:
        assert stack.run_task_counts(submission)["started"] == 1, submission


def wait_for_all(stack: Stack, cluster: str, submissions: list[str]) -> None:
    """Every one of them starts and ends; the reconciler may come more often than every minute."""
    def look() -> set[str]:
        reconcile(stack)
        return {task.submission for task in stack.started(cluster) if task.status == "STOPPED"}

    eventually(look, lambda ended: set(submissions) <= ended, f"all of {cluster} end", seconds=RECOVERY_SECONDS_MAX)


def reconcile(stack: Stack) -> None:
    """A run of the reconciler; that calls fail is what these tests are about."""
    stack.functions.invoke(FunctionName=stack.outputs["ReconcilerFunctionName"], Payload=b"{}")


def is_recorded(instance: str, items: list[dict[str, Any]]) -> bool:
    """Whether there is a capacity record of a container instance, which is stored under its id."""
    return any(item["sk"]["S"] == f"instance#{instance.rpartition('/')[2]}" for item in items)


def note(kind: str, counts: dict[str, int]) -> None:
    """Keeps the figures of this run beside its logs."""
    file = SCRATCH / "wire-faults.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(known | {kind: counts}, indent=2) + "\n")


def test_a_task_whose_run_task_answer_is_lost_is_started_once(faulty: Faulty):
    cluster, stack = "replies", faulty.stack
    instance = stack.register_instance(cluster, memory=2048)
    eventually(stack.capacity_items, lambda items: is_recorded(instance, items), "the instance is recorded")
    names = [f"reply-{n}" for n in range(10)]
    faulty.ecs.set({"RunTask: every reply lost": {"service": "ecs", "operation": "RunTask", "times": 10} | REPLY_LOST})
    # No event tells either: the call itself must be made again.
    stack.ecs_events.hold()
    stack.submit_all([work(cluster, name) for name in names])
    eventually(lambda: {stack.state_of(name) for name in names}, lambda states: states == {"started"}, "all are settled")
    stack.ecs_events.go_on()
    wait_for_all(stack, cluster, names)
    faulty.ecs.end()

    assert faulty.ecs.fired["RunTask: every reply lost"] == 10
    assert_started_once(stack, names)
    # A call that is repeated while another one is made for the first time may lose its answer again.
    assert sum(stack.run_task_counts(name)["repeated"] for name in names) == 10


ORDERED = [f"order-{priority}" for priority in (10, 80, 30, 60, 20, 70)]
STORMY = [f"storm-{n}" for n in range(40)]


@pytest.fixture(scope="module")
def storm(faulty: Faulty) -> dict[str, int]:
    """Tasks are submitted and played to their end while calls of every kind fail; answers how many did."""
    stack = faulty.stack
    stack.submit_all([work("order", name, seconds=1, priority=int(name.removeprefix("order-"))) for name in ORDERED])
    eventually(lambda: {stack.state_of(name) for name in ORDERED}, lambda states: states == {"waiting"}, "all wait")
    faulty.aws.set(AWS_FAULTS)
    faulty.ecs.set(ECS_FAULTS)
    # One at a time.
    stack.register_instance("order", memory=TASK_MEMORY_MIB + 50)
    for _ in range(2):
        stack.register_instance("storm", memory=1024)
    for at in range(0, len(STORMY), 10):
        stack.submit_all([work("storm", name, priority=n) for n, name in enumerate(STORMY[at : at + 10])])
        reconcile(stack)
    wait_for_all(stack, "storm", STORMY)
    wait_for_all(stack, "order", ORDERED)
    faulty.aws.end()
    faulty.ecs.end()
    fired = dict(faulty.aws.fired) | dict(faulty.ecs.fired)
    note("faults", fired)
    return fired


def test_a_storm_of_failing_calls_loses_nothing_and_starts_nothing_twice(faulty: Faulty, storm: dict[str, int]):
    assert_started_once(faulty.stack, STORMY + ORDERED)


def test_a_storm_of_failing_calls_does_not_change_the_order(faulty: Faulty, storm: dict[str, int]):
    order = [task.submission for task in faulty.stack.started("order")]
    assert order == sorted(ORDERED, key=lambda name: -int(name.removeprefix("order-")))


def test_every_kind_of_fault_was_met(storm: dict[str, int]):
    assert [name for name in [*AWS_FAULTS, *ECS_FAULTS] if not storm.get(name)] == []


def test_functions_killed_in_the_middle_of_their_work_lose_nothing_and_start_nothing_twice(faulty: Faulty):
    clusters, stack = ["killed-1", "killed-2", "killed-3"], faulty.stack
    for cluster in clusters:
        stack.register_instance(cluster, memory=1024)
    names = {cluster: [f"{cluster}-{n}" for n in range(20)] for cluster in clusters}
    kills = Counter[str]()
    over = threading.Event()

    def kill() -> None:
        pause = random.Random(4)
        while not over.wait(KILL_EVERY_SECONDS * pause.uniform(0.2, 1.8)):
            kills["functions killed"] += faulty.kill_functions()

    killer = threading.Thread(target=kill)
    killer.start()
    until = time.monotonic() + KILLING_SECONDS
    try:
        for n in range(20):
            stack.submit_all([work(cluster, names[cluster][n], priority=n % 3) for cluster in clusters])
            stack.wake(clusters[n % 3])
            over.wait(KILLING_SECONDS / 25)
        while time.monotonic() < until:
            over.wait(0.2)
    finally:
        over.set()
        killer.join()
    note("kills", dict(kills))
    assert kills["functions killed"] > 10

    for cluster in clusters:
        wait_for_all(stack, cluster, names[cluster])
        assert_started_once(stack, names[cluster])


# ---- People change their minds.


def test_a_launch_whose_answer_is_lost_is_cancelled_all_the_same(faulty: Faulty):
    cluster, stack = "in-flight", faulty.stack
    instance = stack.register_instance(cluster)
    eventually(stack.capacity_items, lambda items: is_recorded(instance, items), "the instance is recorded")
    # Neither an answer nor an event tells that the task runs.
    faulty.ecs.set({"RunTask: no answer": {"service": "ecs", "operation": "RunTask"} | REPLY_LOST})
    stack.ecs_events.hold()
    stack.submit(work(cluster, "in-flight", seconds=600))
    eventually(lambda: stack.run_task_counts("in-flight"), lambda counts: counts["started"] == 1, "it runs, unknown to Berth")
    assert stack.state_of("in-flight") == "reserved"
    stack.submit_all([command("cancel", id="in-flight"), command("hold", id="in-flight")])
    eventually(lambda: stack.task_item("in-flight"), lambda item: "stop" in item, "the command is recorded")
    faulty.ecs.end()
    stack.ecs_events.go_on()
    wait_for_all(stack, cluster, ["in-flight"])
    eventually(lambda: stack.state_of("in-flight"), lambda state: state == "cancelled", "it is cancelled")
    assert_started_once(stack, ["in-flight"])


def test_commands_in_a_storm_of_failing_calls_are_carried_out(faulty: Faulty):
    cluster, stack = "minds", faulty.stack
    names = [f"mind-{n}" for n in range(24)]
    # A fourth each is cancelled, held and released, and ranked anew; nobody cares about the others.
    cancelled, held, ranked = names[0::4], names[1::4], names[2::4]
    stack.submit_all([work(cluster, name, seconds=3, group="minds") for name in names])
    faulty.aws.set(AWS_FAULTS)
    faulty.ecs.set(ECS_FAULTS)
    stack.register_instance(cluster)
    orders = [command("cancel", id=name) for name in cancelled]
    orders += [command("hold", id=name, reason="a second thought") for name in held]
    orders += [command("changePriority", id=name, priority=900 - n) for n, name in enumerate(ranked)]
    random.Random(5).shuffle(orders)
    # Some come twice.
    stack.submit_all([*orders, *orders[:6]])
    stack.submit_all([command("pause", cluster=cluster), command("hold", group="minds", cluster=cluster)])
    reconcile(stack)
    everybody_else = [name for name in names if name not in cancelled]

    def resumed() -> list[str]:
        """People look now and then, and let go on what still stands still."""
        stack.submit_all([command("resume", cluster=cluster), command("release", group="minds", cluster=cluster)])
        reconcile(stack)
        return [name for name in names if stack.state_of(name) not in ENDED]

    eventually(resumed, lambda open: len(open) < 4, "almost all end in the storm", seconds=RECOVERY_SECONDS_MAX, pause=3)
    faulty.aws.end()
    faulty.ecs.end()
    eventually(resumed, lambda open: not open, "all end", seconds=RECOVERY_SECONDS_MAX, pause=3)

    ends = {name: stack.state_of(name) for name in names}
    assert {ends[name] for name in everybody_else} == {"succeeded"}, ends
    # Whoever had ended before the command came has succeeded.
    assert {ends[name] for name in cancelled} <= {"cancelled", "succeeded"}, ends
    assert "cancelled" in ends.values()
    assert_started_once(stack, everybody_else)
    for name in cancelled:
        assert stack.run_task_counts(name)["started"] <= 1, name
    assert {task.status for task in stack.started(cluster)} == {"STOPPED"}


# ---- Poison.


def test_a_message_that_fails_every_time_is_a_dead_letter_with_its_reason_and_blocks_nobody(faulty: Faulty):
    cluster, stack = "poison", faulty.stack
    stack.register_instance(cluster)
    forbidden = error("AccessDeniedException", message="this one never")
    faulty.aws.set({"poison": {"service": "dynamodb", "operation": "PutItem", "body": "Item.task.S == 'poison'"} | forbidden})
    message_id = stack.submit(work(cluster, "poison", priority=1000))
    neighbours = [f"neighbour-{n}" for n in range(3)]
    stack.submit_all([work(cluster, name) for name in neighbours])

    wait_for_all(stack, cluster, neighbours)

    # Messages of the killed functions may be dead letters too: they were received as often as that.
    def poisoned() -> list[dict[str, Any]]:
        return [letter for letter in stack.dead_letters() if json.loads(letter["Body"]).get("id") == "poison"]

    (letter,) = eventually(poisoned, bool, "the message is a dead letter")
    told = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert told["MessageId"] == message_id
    assert told["ErrorType"] == "CallFailed"
    assert "AccessDenied" in told["Reason"]
    assert faulty.aws.counted()["poison"] == 5
    assert stack.started(cluster) and "poison" not in {task.submission for task in stack.started(cluster)}

    # The cause is mended, and the message is put back.
    faulty.aws.end()
    stack.submit(letter["Body"])
    wait_for_all(stack, cluster, ["poison"])
    assert_started_once(stack, ["poison"])


# ---- Records of an older deployment, and damaged ones.

RECORDS = ROOT / "shared" / "control" / "tests" / "records-v1"


def put_record(stack: Stack, table: str, pk: str, sk: str, record: dict[str, Any]) -> None:
    """Stores a record as the functions do."""
    item = {name: TypeSerializer().serialize(value) for name, value in (record | {"pk": pk, "sk": sk}).items()}
    stack.dynamodb.put_item(TableName=stack.outputs[table], Item=item)


def golden(name: str, **changes: Any) -> dict[str, Any]:
    """A record as the release with schema 1 stored it."""
    return json.loads((RECORDS / f"{name}.json").read_text()) | changes


def test_a_newer_deployment_goes_on_with_the_records_of_an_older_one(faulty: Faulty):
    cluster, stack = "upgrade", faulty.stack
    # Nothing of this deployment knows the cluster yet: its tables hold what an older one has left there.
    stack.ecs_events.hold()
    arn = stack.register_instance(cluster)
    ec2_instance = stack.ecs.describe_container_instances(cluster=cluster, containerInstances=[arn])
    ec2_instance = ec2_instance["containerInstances"][0]["ec2InstanceId"]
    definition = stack.ecs.describe_task_definition(taskDefinition="work")["taskDefinition"]["taskDefinitionArn"]
    demand = {"cpu": 10, "memory": TASK_MEMORY_MIB}
    lane = "00112233445566778899aabbccddeeff"
    seconds = work(cluster, "x")["overrides"]
    long_ago = "2026-01-01T00:00:00.000Z"

    def task(kind: str, name: str, **changes: Any) -> None:
        record = golden(
            f"task-{kind}", task=name, cluster=cluster, taskDefinition=definition, demand=demand, lane=lane,
            request={"launchType": "EC2", "overrides": seconds}, submittedAt=long_ago, **changes,
        )
        put_record(stack, "TasksTableName", f"task#{name}", "task", record)

    def entry(name: str, priority: int) -> None:
        record = golden("waiting", task=name, priority=priority, submittedAt=long_ago, group="family:work")
        place = f"{1000 - priority:04}#{long_ago}#{name}#01"
        put_record(stack, "TasksTableName", f"waiting#{cluster}#{lane}", place, record)

    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    put_record(stack, "TasksTableName", f"lanes#{cluster}", lane, golden("lane-plain", lane=lane))
    task("waiting", "old-low", priority=10)
    entry("old-low", 10)
    task("waiting-again", "old-high", priority=90)
    entry("old-high", 90)
    # Reserved by an invocation that nobody has heard of since.
    details = {"instance": arn, "reservedAt": now, "callBy": now}
    task("reserved", "old-reserved", priority=50, attempt=1, details=details)
    entry("old-reserved", 50)
    reservation = {"demand": demand, "group": "family:work", "reservedAtVersion": 1}
    capacity = golden(
        "instance-active", instance=arn, ec2InstanceId=ec2_instance, version=1, attributes="0" * 16, runningTasks=0,
        registered={"cpu": 1024, "memory": 512}, remaining={"cpu": 1024, "memory": 512},
        reservations={"berth/1/old-reserved": reservation}, otherTasks={},
    )
    put_record(stack, "CapacityTableName", f"cluster#{cluster}", f"instance#{arn.rpartition('/')[2]}", capacity)

    stack.ecs_events.go_on()
    stack.wake(cluster)
    names = ["old-high", "old-reserved", "old-low"]
    wait_for_all(stack, cluster, names)
    assert_started_once(stack, names)
    assert stack.run_task_counts("old-reserved")["calls"] == 1
    order = [task.submission for task in stack.started(cluster)]
    assert order.index("old-high") < order.index("old-low")


def damage(stack: Stack, table: str, holds: Callable[[dict[str, Any]], bool], **fields: Any) -> int:
    """Overwrites fields of the stored items for which this holds; answers how many there were."""
    name = stack.outputs[table]
    items = [item for item in stack.items(name) if not item["pk"]["S"].startswith("damaged#") and holds(item)]
    for item in items:
        broken = {field: TypeSerializer().serialize(value) for field, value in fields.items()}
        stack.dynamodb.put_item(TableName=name, Item=item | broken)
    return len(items)


def test_damaged_records_are_repaired_and_their_tasks_start(faulty: Faulty):
    cluster, stack = "damaged", faulty.stack
    names = ["damaged-1", "damaged-2"]
    stack.submit_all([work(cluster, name) for name in names])
    eventually(lambda: {stack.state_of(name) for name in names}, lambda states: states == {"waiting"}, "both wait")
    id = stack.register_instance(cluster, memory=TASK_MEMORY_MIB - 1).rpartition("/")[2]
    eventually(lambda: stack.capacity_items(), lambda items: any(id in item["sk"]["S"] for item in items), "it is recorded")

    here = {f"cluster#{cluster}", f"lanes#{cluster}"}
    assert damage(stack, "CapacityTableName", lambda item: item["pk"]["S"] in here, remaining="much") == 1
    assert damage(stack, "TasksTableName", lambda item: item["pk"]["S"] in here, shape=7) == 1
    entries = f"waiting#{cluster}#"
    assert damage(stack, "TasksTableName", lambda item: item["pk"]["S"].startswith(entries), group="") == 2
    reconcile(stack)
    reconcile(stack)
    copies = [item for item in stack.task_items() + stack.capacity_items() if item["pk"]["S"] == f"damaged#{cluster}"]
    assert len(copies) == 4, copies
    assert all(copy["reason"]["S"] for copy in copies)

    stack.register_instance(cluster)
    wait_for_all(stack, cluster, names)
    assert_started_once(stack, names)


def test_everything_is_recorded_as_ended_and_no_room_is_left_reserved(faulty: Faulty):
    """After everything above. Nobody is left in the waiting list either."""
    stack = faulty.stack

    def left_open() -> list[str]:
        reconcile(stack)
        records = [item for item in stack.task_items() if item["sk"]["S"] == "task"]
        tasks = [item["pk"]["S"] for item in records if item["state"]["S"] not in ENDED]
        held = [item["sk"]["S"] for item in stack.capacity_items() if item.get("reservations", {}).get("M")]
        waiting = [item["sk"]["S"] for item in stack.task_items() if item["pk"]["S"].startswith("waiting#")]
        return tasks + held + waiting

    eventually(left_open, lambda open: not open, "every task is recorded as ended", seconds=RECOVERY_SECONDS_MAX)
