"""What the tests share: one deployed stack for the whole run."""

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployment import (
    EVENT_SOURCE,
    SCRATCH,
    EventForwarder,
    accept_functions_without_tls,
    deploy,
    start_ecs,
    start_emulator,
)
from processes import free_port
from stack import TASK_DEFINITION, Stack

# A cluster for each test, so that none has to wait for the tasks of another.
CLUSTERS = [
    "default", "story", "early", "repeated", "copies", "malformed", "woken", "refused", "large", "east", "west",
    "noise", "drift",
]


@pytest.fixture(scope="session", autouse=True)
def _stops_its_servers_when_terminated():
    """A run that is told to end leaves through the fixtures' clean-up."""
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def stack():
    """The stack, deployed from what `sam build` has built, with its ECS beside it."""
    with ExitStack() as servers:
        emulator, emulator_url = start_emulator()
        servers.callback(emulator.stop)
        ecs_port = free_port()
        ecs_url = f"http://127.0.0.1:{ecs_port}"
        outputs = deploy(
            emulator_url,
            Path(os.environ["BERTH_BUILD"]),
            {"Clusters": ",".join(CLUSTERS), "EventSource": EVENT_SOURCE, "EcsEndpointUrl": ecs_url},
        )
        accept_functions_without_tls(emulator_url, outputs)
        events = SCRATCH / "ecs-events.jsonl"
        ecs = start_ecs(ecs_port, events)
        servers.callback(ecs.stop)
        servers.callback(EventForwarder(events, emulator_url).stop)
        stack = Stack(emulator_url, ecs_url, outputs)
        servers.callback(stack.keep_logs, SCRATCH / "functions.log")
        for cluster in CLUSTERS:
            stack.ecs.create_cluster(clusterName=cluster)
        stack.register_task_definition(TASK_DEFINITION)
        yield stack
