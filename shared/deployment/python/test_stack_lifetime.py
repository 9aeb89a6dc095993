"""Commands, times and retries in the deployed stack: people change their minds, and tasks are followed to their end."""

from datetime import UTC, datetime, timedelta
from typing import Any

from stack import Stack, work
from waiting import eventually


def exits(body: dict[str, Any], codes: str) -> dict[str, Any]:
    """The same submission, whose attempts exit like this."""
    containers = body["overrides"]["containerOverrides"]
    containers[0]["environment"].append({"name": "BERTH_TASK_EXITS", "value": codes})
    return body


def command(action: str, **fields: Any) -> dict[str, Any]:
    return {"action": action} | fields


def soon(seconds: float) -> str:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def state_of(stack: Stack, task: str) -> str:
    key = {"pk": {"S": f"task#{task}"}, "sk": {"S": "task"}}
    item = stack.dynamodb.get_item(TableName=stack.outputs["TasksTableName"], Key=key).get("Item", {})
    return item.get("state", {}).get("S", "unknown")


def wait_for_state(stack: Stack, task: str, state: str) -> None:
    eventually(lambda: state_of(stack, task), lambda seen: seen == state, f"{task} is {state}")


def test_a_waiting_task_and_a_running_one_are_cancelled(stack):
    cluster = "cancelled"
    stack.register_instance(cluster, memory=100)
    stack.submit(work(cluster, "runs", seconds=600))
    stack.wait_for_started(cluster, ["runs"])
    stack.submit_all([work(cluster, "waits"), work(cluster, "follows")])
    wait_for_state(stack, "follows", "waiting")

    stack.submit(command("cancel", id="waits", reason="wrong input"))
    wait_for_state(stack, "waits", "cancelled")
    stack.submit(command("cancel", id="runs"))
    wait_for_state(stack, "runs", "cancelled")
    # The room goes to whoever is next, and to nobody who was cancelled.
    started = stack.wait_for_started(cluster, ["runs", "follows"])
    assert [task.submission for task in started] == ["runs", "follows"]


def test_a_task_on_hold_lets_others_pass_and_starts_when_it_is_released(stack):
    cluster = "held"
    stack.submit_all([work(cluster, "kept", priority=9), work(cluster, "passes")])
    wait_for_state(stack, "passes", "waiting")
    stack.submit(command("hold", id="kept", reason="not yet"))
    held = {"pk": {"S": "task#kept"}, "sk": {"S": "task"}}
    eventually(
        lambda: stack.dynamodb.get_item(TableName=stack.outputs["TasksTableName"], Key=held)["Item"],
        lambda item: "onHold" in item,
        "the hold is recorded",
    )
    stack.register_instance(cluster, memory=100)
    stack.wait_for_stopped(cluster, ["passes"])
    assert state_of(stack, "kept") == "waiting"
    stack.submit(command("release", id="kept"))
    stack.wait_for_started(cluster, ["passes", "kept"])


def test_a_new_priority_is_a_new_place_in_the_order(stack):
    cluster = "ranked"
    stack.submit_all([work(cluster, "was-first", priority=5), work(cluster, "was-last", priority=1)])
    wait_for_state(stack, "was-first", "waiting")
    wait_for_state(stack, "was-last", "waiting")
    stack.submit(command("changePriority", id="was-last", priority=900))
    eventually(
        lambda: [item["sk"]["S"] for item in stack.task_items() if item["pk"]["S"].startswith("waiting#ranked")],
        lambda places: sorted(places)[:1] != [] and "was-last" in sorted(places)[0] and len(places) == 2,
        "it has its new place and left the old one",
    )
    stack.register_instance(cluster, memory=100)
    started = stack.wait_for_started(cluster, ["was-last", "was-first"])
    assert [task.submission for task in started] == ["was-last", "was-first"]


def test_a_failed_task_is_run_again_and_its_end_is_recorded(stack):
    cluster = "retried"
    stack.register_instance(cluster)
    again = {"retryStrategy": {"attempts": 2}}
    stack.submit(exits(work(cluster, "second-time", **again), "1,0"))
    stack.submit(exits(work(cluster, "never", **again), "1"))
    stack.submit(exits(work(cluster, "once"), "3"))
    wait_for_state(stack, "second-time", "succeeded")
    wait_for_state(stack, "never", "failed")
    wait_for_state(stack, "once", "failed")
    attempts = {(task.submission, task.attempt) for task in stack.started(cluster)}
    assert attempts == {("second-time", 1), ("second-time", 2), ("never", 1), ("never", 2), ("once", 1)}


def test_a_paused_cluster_starts_nothing_until_it_is_resumed(stack):
    cluster = "paused"
    stack.register_instance(cluster)
    stack.submit(command("pause", cluster=cluster, reason="maintenance"))
    eventually(
        stack.capacity_items,
        lambda items: any(item["pk"]["S"] == f"wake#{cluster}" and "pause" in item for item in items),
        "the pause is recorded",
    )
    stack.submit(work(cluster, "patiently"))
    lanes = f"lanes#{cluster}"
    eventually(
        lambda: [item["hold"]["M"]["text"]["S"] for item in stack.task_items() if item["pk"]["S"] == lanes and "hold" in item],
        lambda texts: any("maintenance" in text for text in texts),
        "those who wait are told",
    )
    assert stack.started(cluster) == []
    stack.submit(command("resume", cluster=cluster))
    stack.wait_for_started(cluster, ["patiently"])


def test_a_task_starts_not_before_its_time_and_expires_after_it(stack):
    cluster = "timed"
    stack.submit(work(cluster, "expires", startBy=soon(2)))
    wait_for_state(stack, "expires", "waiting")
    stack.submit(work(cluster, "later", notBefore=soon(6)))
    wait_for_state(stack, "later", "waiting")

    def woken(task: str) -> str:
        stack.wake(cluster)
        return state_of(stack, task)

    eventually(lambda: woken("expires"), lambda seen: seen == "expired", "it expires")
    stack.register_instance(cluster)
    eventually(lambda: woken("later"), lambda seen: seen in ("started", "succeeded"), "it starts when its time has come")
    assert [task.submission for task in stack.started(cluster)] == ["later"]


def test_a_command_that_makes_no_sense_is_refused_with_the_fix(stack):
    message = stack.submit(command("cancel", id="a", group="b"))
    refusal = stack.refusal(message)
    assert refusal["field"] == "group"
    assert "give one of them" in refusal["reason"]
