"""The stack while calls fail and functions are killed: nothing is lost, nothing is started twice, and the order holds.

What is counted is what ECS was asked and what it has started, never what Berth believes. The submission queue shows a
message again after seconds here, not after the six minutes of the template, so that what failed comes back soon.
"""

import json
import random
import threading
import time
from collections import Counter

import pytest
from botocore.exceptions import ClientError

from deployment import SCRATCH
from faults import REPLY_LOST, Faulty, Rule
from stack import TASK_MEMORY_MIB, Stack
from stack import work as plain_work
from waiting import eventually

SUBMISSION_VISIBLE_AGAIN_SECONDS = 5
# A killed cycle's turn is free after a minute; then the reconciler, which comes every minute, wakes the next one.
RECOVERY_SECONDS_MAX = 240
KILLING_SECONDS = 25
KILL_EVERY_SECONDS = 0.7


def error(code: str, status: int = 400, **fields: object) -> Rule:
    return {"error": {"code": code, "status": status} | ({"fields": fields} if fields else {})}


def chance(probability: float, service: str, fault: Rule, operation: str | None = None) -> Rule:
    named = {"operation": operation} if operation else {}
    return {"service": service, "probability": probability} | named | fault


CANCELED = error(
    "TransactionCanceledException", CancellationReasons=[{"Code": "TransactionConflict"}, {"Code": "None"}, {"Code": "None"}]
)
# What the functions meet when they call DynamoDB and SQS. The SDK tries such a call three times.
AWS_FAULTS: dict[str, Rule] = {
    "DynamoDB throttles": chance(0.04, "dynamodb", error("ProvisionedThroughputExceededException")),
    "DynamoDB fails": chance(0.04, "dynamodb", error("InternalServerError", 500)),
    "DynamoDB: connection reset": chance(0.03, "dynamodb", {"reset": True}),
    "DynamoDB: reply lost": chance(0.03, "dynamodb", REPLY_LOST),
    "PutItem: reply lost": chance(0.1, "dynamodb", REPLY_LOST, "PutItem"),
    "TransactWriteItems: reply lost": chance(0.15, "dynamodb", REPLY_LOST, "TransactWriteItems"),
    "TransactWriteItems: conflict": chance(0.15, "dynamodb", CANCELED, "TransactWriteItems"),
    "PutItem: conflict": chance(0.1, "dynamodb", error("TransactionConflictException"), "PutItem"),
    "SQS fails": chance(0.15, "sqs", error("InternalError", 500), "SendMessage"),
    "SQS: connection reset": chance(0.15, "sqs", {"reset": True}, "SendMessage"),
    "SQS: reply lost": chance(0.15, "sqs", REPLY_LOST, "SendMessage"),
}
# RunTask is called once, whatever comes of it.
ECS_FAULTS: dict[str, Rule] = {
    "RunTask: reply lost": chance(0.15, "ecs", REPLY_LOST, "RunTask"),
    "RunTask throttles": chance(0.1, "ecs", error("ThrottlingException"), "RunTask"),
    "RunTask fails": chance(0.1, "ecs", error("ServerException", 500), "RunTask"),
    "RunTask: connection reset": chance(0.1, "ecs", {"reset": True}, "RunTask"),
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


def work(cluster: str, name: str, seconds: int = 1, **fields: object) -> dict[str, object]:
    return plain_work(cluster, name, seconds, **fields)


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


def state_of(stack: Stack, task: str) -> str | None:
    key = {"pk": {"S": f"task#{task}"}, "sk": {"S": "task"}}
    item = stack.dynamodb.get_item(TableName=stack.outputs["TasksTableName"], Key=key, ConsistentRead=True).get("Item")
    return item["state"]["S"] if item else None


def note(kind: str, counts: dict[str, int]) -> None:
    """Keeps the figures of this run beside its logs."""
    file = SCRATCH / "wire-faults.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(known | {kind: counts}, indent=2) + "\n")


def test_a_task_whose_run_task_answer_is_lost_is_started_once(faulty: Faulty):
    cluster, stack = "replies", faulty.stack
    instance = stack.register_instance(cluster, memory=2048)
    eventually(stack.capacity_items, lambda items: instance in json.dumps(items), "the instance is recorded")
    names = [f"reply-{n}" for n in range(10)]
    faulty.ecs.set({"RunTask: every reply lost": {"service": "ecs", "operation": "RunTask", "times": 10} | REPLY_LOST})
    # No event tells either: the call itself must be made again.
    stack.ecs_events.hold()
    stack.submit_all([work(cluster, name) for name in names])
    eventually(lambda: {state_of(stack, name) for name in names}, lambda states: states == {"started"}, "all are settled")
    stack.ecs_events.go_on()
    wait_for_all(stack, cluster, names)
    faulty.ecs.end()

    assert faulty.ecs.fired["RunTask: every reply lost"] == 10
    assert_started_once(stack, names)
    assert {stack.run_task_counts(name)["repeated"] for name in names} == {1}


def test_urgent_tasks_go_first_although_calls_fail(faulty: Faulty):
    cluster, stack = "order", faulty.stack
    names = [f"order-{priority}" for priority in (10, 80, 30, 60, 20, 70)]
    stack.submit_all([work(cluster, name, seconds=1, priority=int(name.removeprefix("order-"))) for name in names])
    eventually(lambda: {state_of(stack, name) for name in names}, lambda states: states == {"waiting"}, "all of them wait")
    faulty.aws.set(AWS_FAULTS)
    faulty.ecs.set(ECS_FAULTS)
    # One at a time.
    stack.register_instance(cluster, memory=TASK_MEMORY_MIB + 50)
    wait_for_all(stack, cluster, names)

    assert_started_once(stack, names)
    order = [task.submission for task in stack.started(cluster)]
    assert order == sorted(names, key=lambda name: -int(name.removeprefix("order-")))


def test_a_storm_of_failing_calls_loses_nothing_and_starts_nothing_twice(faulty: Faulty):
    cluster, stack = "storm", faulty.stack
    for _ in range(2):
        stack.register_instance(cluster, memory=1024)
    names = [f"storm-{n}" for n in range(60)]
    faulty.aws.set(AWS_FAULTS)
    faulty.ecs.set(ECS_FAULTS)
    for at in range(0, len(names), 10):
        stack.submit_all([work(cluster, name, priority=n) for n, name in enumerate(names[at : at + 10])])
        reconcile(stack)
    wait_for_all(stack, cluster, names)
    faulty.aws.end()
    faulty.ecs.end()

    assert_started_once(stack, names)
    fired = dict(faulty.aws.fired) | dict(faulty.ecs.fired)
    note("faults", fired)
    silent = [name for name in [*AWS_FAULTS, *ECS_FAULTS] if not fired.get(name)]
    assert silent == [], "these faults were not tried"


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


def test_everything_is_recorded_as_ended_and_no_room_is_left_reserved(faulty: Faulty):
    """After everything above."""
    stack = faulty.stack

    def left_open() -> list[str]:
        reconcile(stack)
        tasks = [item["pk"]["S"] for item in stack.task_items() if item["sk"]["S"] == "task" and item["state"]["S"] != "ended"]
        held = [item["sk"]["S"] for item in stack.capacity_items() if item.get("reservations", {}).get("M")]
        return tasks + held

    eventually(left_open, lambda open: not open, "every task is recorded as ended", seconds=RECOVERY_SECONDS_MAX)
