"""Commands, times and retries in the deployed stack: people change their minds, and tasks are followed to their end."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from stack import Stack, command, work
from waiting import eventually


def exits(body: dict[str, Any], codes: str) -> dict[str, Any]:
    """The same submission, whose attempts exit like this."""
    containers = body["overrides"]["containerOverrides"]
    containers[0]["environment"].append({"name": "BERTH_TASK_EXITS", "value": codes})
    return body


def soon(seconds: float) -> str:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wait_for_state(stack: Stack, task: str, state: str) -> None:
    eventually(lambda: stack.state_of(task), lambda seen: seen == state, f"{task} is {state}")


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
    eventually(lambda: stack.task_item("kept"), lambda item: "onHold" in item, "the hold is recorded")
    stack.register_instance(cluster, memory=100)
    stack.wait_for_stopped(cluster, ["passes"])
    assert stack.state_of("kept") == "waiting"
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


def test_a_task_that_lost_its_host_is_in_its_old_place_and_has_lost_no_attempt(stack):
    cluster = "spot"
    host = stack.register_instance(cluster, memory=100)
    stack.submit(exits(work(cluster, "interrupted", seconds=600), "0"))
    stack.wait_for_started(cluster, ["interrupted"])
    stack.submit_all([work(cluster, "urgent", priority=9), work(cluster, "behind")])
    wait_for_state(stack, "urgent", "waiting")
    wait_for_state(stack, "behind", "waiting")
    stack.terminate_host(cluster, host)
    wait_for_state(stack, "interrupted", "waiting")
    assert stack.task_item("interrupted")["hostsLost"] == {"N": "1"}
    assert "failedRuns" not in stack.task_item("interrupted")

    # It was submitted before `behind`, and has room in this order: one at a time.
    stack.register_instance(cluster, memory=100)
    def attempts() -> list[tuple[str, int]]:
        return [(task.submission, task.attempt) for task in stack.started(cluster)]

    order = [("interrupted", 1), ("urgent", 1), ("interrupted", 2)]
    eventually(attempts, lambda seen: seen == order, "the interrupted one runs again in its turn")
    assert stack.state_of("behind") == "waiting"
    stack.submit(command("cancel", id="interrupted"))
    wait_for_state(stack, "behind", "succeeded")


def test_a_task_that_runs_for_too_long_is_stopped_and_has_failed(stack):
    cluster = "long"
    stack.register_instance(cluster)
    stack.submit(work(cluster, "endless", seconds=600, timeoutSeconds=60))
    stack.wait_for_started(cluster, ["endless"])

    def woken() -> str | None:
        stack.wake(cluster)
        return stack.state_of("endless")

    eventually(woken, lambda seen: seen == "failed", "it is stopped", seconds=120)
    assert "timeoutSeconds" in json.dumps(stack.task_item("endless"))
    stack.wait_for_stopped(cluster, ["endless"])


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
        return stack.state_of(task)

    eventually(lambda: woken("expires"), lambda seen: seen == "expired", "it expires")
    stack.register_instance(cluster)
    eventually(lambda: woken("later"), lambda seen: seen in ("started", "succeeded"), "it starts when its time has come")
    assert [task.submission for task in stack.started(cluster)] == ["later"]


def test_a_command_that_makes_no_sense_is_refused_with_the_fix(stack):
    message = stack.submit(command("cancel", id="a", group="b"))
    refusal = stack.refusal(message)
    assert refusal["field"] == "group"
    assert "give one of them" in refusal["reason"]
