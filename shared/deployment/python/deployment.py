"""The stack, deployed: an emulator of AWS, the simulator's ECS endpoint beside it, and the template between them."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from processes import Server, free_port

ROOT = Path(__file__).resolve().parents[3]
SCRATCH = Path(os.environ.get("BERTH_SCRATCH", ROOT / "target" / "deployment"))

REGION = "us-east-1"
# The emulator's account.
ACCOUNT = "000000000000"
STACK = "berth"
BUCKET = "berth-artifacts"
# EventBridge refuses events that claim to come from AWS itself, and so does the emulator.
EVENT_SOURCE = "berth.simulator"
DEPLOY_SECONDS_MAX = 180
LOOK_FOR_EVENTS_SECONDS = 0.05


def environment(**more: str) -> dict[str, str]:
    """The environment of everything started here: whatever the user has set up for AWS stays out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_", "PYTEST_"))}
    return kept | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
    } | more


def client(service: str, endpoint: str):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        # One attempt: a call that fails must be seen, and not be made twice.
        config=Config(retries={"total_max_attempts": 1}, read_timeout=90),
    )


def sqs_over_tls(emulator: str):
    """SQS as callers with TLS see it: the emulator speaks plain HTTP, and believes what a proxy before it says."""
    sqs = client("sqs", emulator)
    name, value = "X-Forwarded-Proto", "https"
    sqs.meta.events.register("before-sign.sqs", lambda request, **_: request.headers.add_header(name, value))
    return sqs


def accept_functions_without_tls(emulator: str, outputs: dict[str, str]) -> None:
    """Takes the policies off the queues that functions send to, for they call the emulator without TLS."""
    for queue in ("WakeQueueUrl", "RefusalsQueueUrl", "SubmissionDeadLetterQueueUrl"):
        sqs_over_tls(emulator).set_queue_attributes(QueueUrl=outputs[queue], Attributes={"Policy": ""})


def start_emulator(port: int, endpoint_of_functions: str | None = None) -> tuple[Server, str]:
    """The emulator of AWS: SQS, DynamoDB, EventBridge, Lambda, CloudFormation.

    The functions that it runs call it at another endpoint if one is given, such as a proxy's. Their signatures are
    for that one then, so that the emulator cannot tell who calls and lets everybody.
    """
    endpoint = f"http://127.0.0.1:{port}"
    program = Path(sys.executable).parent / "ministack"
    server = Server(
        "the emulator of AWS",
        [str(program)],
        environment(
            BIND_HOST="127.0.0.1",
            GATEWAY_PORT=str(port),
            # What the functions that it runs call.
            AWS_ENDPOINT_URL=endpoint_of_functions or endpoint,
            MINISTACK_ACCOUNT_ID=ACCOUNT,
            LAMBDA_EXECUTOR="local",
            # Holds the functions to the permissions of their roles.
            AUTH="false" if endpoint_of_functions else "true",
            # Servers that nobody here needs, on ports that are not free to choose.
            IOT_MTLS_ENABLED="0",
            SFTP_ENABLED="0",
            STATE_DIR=str(SCRATCH / "emulator-state"),
        ),
        SCRATCH / "emulator.log",
    )
    server.wait_until_ready(f"{endpoint}/_ministack/ready")
    return server, endpoint


def start_ecs(port: int, events: Path) -> Server:
    """The simulator's ECS endpoint; it writes its events to a file."""
    events.unlink(missing_ok=True)
    server = Server(
        "the ECS endpoint",
        [
            os.environ["BERTH_BINARY"], "ecs",
            "--port", str(port),
            "--account", ACCOUNT,
            "--event-source", EVENT_SOURCE,
            "--events", str(events),
        ],
        environment(),
        SCRATCH / "ecs.log",
    )
    server.wait_until_ready(f"http://127.0.0.1:{port}/_berth/ready")
    return server


class EventForwarder:
    """Puts the events of a file onto the event bus, as they come: what ECS and EventBridge do between them."""

    def __init__(self, events: Path, emulator: str):
        self._events = events
        self._bus = client("events", emulator)
        self._stopping = threading.Event()
        self._may_go = threading.Event()
        self._may_go.set()
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def hold(self) -> None:
        """Keeps events back from now on, until they may go."""
        self._may_go.clear()

    def go_on(self) -> None:
        self._may_go.set()

    def stop(self) -> None:
        self._stopping.set()
        self._may_go.set()
        self._thread.join()

    def _forward(self) -> None:
        while not self._events.exists():
            if self._stopping.wait(LOOK_FOR_EVENTS_SECONDS):
                return
        with self._events.open() as lines:
            rest = ""
            while not self._stopping.is_set():
                rest += lines.read()
                *whole, rest = rest.split("\n")
                for line in whole:
                    self._may_go.wait()
                    self._put(json.loads(line))
                if not whole:
                    self._stopping.wait(LOOK_FOR_EVENTS_SECONDS)

    def _put(self, event: dict[str, Any]) -> None:
        entry = {
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]),
            "Resources": event["resources"],
        }
        answer = self._bus.put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0, answer


def deploy(emulator: str, build: Path, parameters: dict[str, str]) -> dict[str, str]:
    """Deploys what `sam build` has built, and returns the outputs of the stack."""
    client("s3", emulator).create_bucket(Bucket=BUCKET)
    command = [
        os.environ["BERTH_SAM"], "deploy",
        "--template-file", str(build / "template.yaml"),
        "--stack-name", STACK,
        "--s3-bucket", BUCKET,
        "--region", REGION,
        "--capabilities", "CAPABILITY_IAM",
        "--no-confirm-changeset",
        "--no-progressbar",
        "--parameter-overrides",
        *[f"{name}={value}" for name, value in parameters.items()],
    ]
    done = subprocess.run(
        command,
        cwd=SCRATCH,
        env=environment(AWS_ENDPOINT_URL=emulator),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEPLOY_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise RuntimeError(f"sam deploy failed:\n{done.stdout}\n{done.stderr}")
    stack = client("cloudformation", emulator).describe_stacks(StackName=STACK)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
