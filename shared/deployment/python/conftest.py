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
from faults import Faults, Faulty
from processes import free_port
from stack import TASK_DEFINITION, Stack

# A cluster for each test, so that none has to wait for the tasks of another.
CLUSTERS = [
    "default", "story", "early", "repeated", "copies", "malformed", "woken", "refused", "large", "east", "west",
    "noise", "drift", "cancelled", "held", "ranked", "retried", "spot", "long", "paused", "timed", "told",
]
FAULTY_CLUSTERS = [
    "replies", "storm", "order", "killed-1", "killed-2", "killed-3", "in-flight", "minds", "poison",
    "upgrade", "damaged",
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
        emulator, emulator_url = start_emulator(free_port())
        servers.callback(emulator.stop)
        yield deploy_stack(servers, CLUSTERS, emulator_url)


@pytest.fixture(scope="session")
def faulty():
    """The same with proxies between the functions and AWS, and between them and ECS, that can break every call."""
    with ExitStack() as servers:
        emulator_port = free_port()
        aws = Faults("aws", f"http://127.0.0.1:{emulator_port}")
        servers.callback(aws.stop)
        emulator, emulator_url = start_emulator(emulator_port, aws.url)
        servers.callback(emulator.stop)
        aws.warm_up("dynamodb", "sqs")
        ecs_port = free_port()
        ecs = Faults("ecs", f"http://127.0.0.1:{ecs_port}")
        servers.callback(ecs.stop)
        stack = deploy_stack(servers, FAULTY_CLUSTERS, emulator_url, ecs_port, ecs.url)
        ecs.warm_up("ecs")
        yield Faulty(stack, aws, ecs, emulator)


def deploy_stack(
    servers: ExitStack, clusters: list[str], emulator: str, ecs_port: int | None = None, ecs_of_functions: str | None = None
) -> Stack:
    """Starts the ECS endpoint and deploys the stack for these clusters; what must be stopped is told to `servers`."""
    ecs_port = ecs_port or free_port()
    ecs_url = f"http://127.0.0.1:{ecs_port}"
    outputs = deploy(
        emulator,
        Path(os.environ["BERTH_BUILD"]),
        {
            "Clusters": ",".join(clusters),
            "EventSource": EVENT_SOURCE,
            "EcsEndpointUrl": ecs_of_functions or ecs_url,
        },
    )
    accept_functions_without_tls(emulator, outputs)
    events = SCRATCH / "ecs-events.jsonl"
    ecs = start_ecs(ecs_port, events)
    servers.callback(ecs.stop)
    forwarder = EventForwarder(events, emulator)
    servers.callback(forwarder.stop)
    stack = Stack(emulator, ecs_url, outputs, forwarder)
    servers.callback(stack.keep_logs, SCRATCH / "functions.log")
    for cluster in clusters:
        stack.ecs.create_cluster(clusterName=cluster)
    stack.register_task_definition(TASK_DEFINITION)
    return stack
