"""The deployed stack, as its users see it: queues to send to and read from, ECS to look at."""

import itertools
import json
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployment import EventForwarder, client, sqs_over_tls
from waiting import eventually

# Large enough to hold what the tests submit, small enough to be full soon: five tasks of 100 MiB.
INSTANCE_MEMORY_MIB = 512
TASK_MEMORY_MIB = 100
TASK_DEFINITION = "work"


@dataclass(frozen=True)
class StartedTask:
    """A task that ECS has, as DescribeTasks tells."""

    submission: str
    attempt: int
    instance: str
    status: str
    created_at: float


class Stack:
    """The deployed stack."""

    def __init__(self, emulator: str, ecs: str, outputs: dict[str, str], ecs_events: EventForwarder):
        self.outputs = outputs
        self.ecs_events = ecs_events
        self.sqs = sqs_over_tls(emulator)
        self.sqs_without_tls = client("sqs", emulator)
        self.dynamodb = client("dynamodb", emulator)
        self.events = client("events", emulator)
        self.functions = client("lambda", emulator)
        self.logs = client("logs", emulator)
        self.ecs = client("ecs", ecs)
        self._ecs_endpoint = ecs
        self._refusals: dict[str, dict[str, Any]] = {}
        self._published: list[dict[str, Any]] = []
        self._listener = ""
        self._names = itertools.count()

    # ---- ECS.

    def register_task_definition(self, family: str, memory: int = TASK_MEMORY_MIB) -> str:
        container = {"name": "main", "image": "busybox", "cpu": 10, "memory": memory, "essential": True}
        answer = self.ecs.register_task_definition(family=family, containerDefinitions=[container])
        return answer["taskDefinition"]["taskDefinitionArn"]

    def register_instance(self, cluster: str, memory: int = INSTANCE_MEMORY_MIB) -> str:
        """Has a container instance register with the cluster, as an ECS agent does when its host has started."""
        ec2_instance = f"i-{next(self._names):017x}"
        answer = self.ecs.register_container_instance(
            cluster=cluster,
            instanceIdentityDocument=json.dumps({"instanceId": ec2_instance, "region": "us-east-1"}),
            totalResources=[
                {"name": "CPU", "type": "INTEGER", "integerValue": 1024},
                {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
                {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]},
                {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
            ],
            attributes=[{"name": "ecs.availability-zone", "value": "us-east-1a"}],
        )
        return answer["containerInstance"]["containerInstanceArn"]

    def started(self, cluster: str) -> list[StartedTask]:
        """All tasks of the cluster, running and stopped, in the order of their creation."""
        arns: list[str] = []
        for status in ("RUNNING", "STOPPED"):
            for page in self.ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus=status):
                arns += page["taskArns"]
        tasks = []
        for at in range(0, len(arns), 100):
            tasks += self.ecs.describe_tasks(cluster=cluster, tasks=arns[at : at + 100])["tasks"]
        # A task may have stopped between the two lists.
        described = {task["taskArn"]: _started_task(task) for task in tasks}
        return sorted(described.values(), key=lambda task: task.created_at)

    def wait_for_started(self, cluster: str, submissions: Iterable[str], **limits: float) -> list[StartedTask]:
        wanted = set(submissions)
        return eventually(
            lambda: self.started(cluster),
            lambda started: wanted <= {task.submission for task in started},
            f"tasks of {sorted(wanted)} start in cluster {cluster}",
            **limits,
        )

    def wait_for_stopped(self, cluster: str, submissions: Iterable[str], **limits: float) -> list[StartedTask]:
        wanted = set(submissions)
        return eventually(
            lambda: self.started(cluster),
            lambda started: wanted <= {task.submission for task in started if task.status == "STOPPED"},
            f"tasks of {sorted(wanted)} stop in cluster {cluster}",
            **limits,
        )

    def run_task_counts(self, submission: str) -> Counter[str]:
        """How often RunTask was called for this submission, and how often it started or refused a task."""
        counts: Counter[str] = Counter()
        for started_by, of_attempt in self._calls()["startedBy"].items():
            if started_by.split("/", 2)[2] == submission:
                counts.update(of_attempt)
        return counts

    def all_run_task_counts(self) -> Counter[str]:
        """The same for all submissions together."""
        return Counter(self._calls()["runTask"])

    def _calls(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._ecs_endpoint}/_berth/calls", timeout=10) as answer:
            return json.load(answer)

    def terminate_host(self, cluster: str, instance: str) -> None:
        """Terminates the EC2 instance of a container instance, as Spot does."""
        body = json.dumps({"cluster": cluster, "containerInstance": instance}).encode()
        urllib.request.urlopen(f"{self._ecs_endpoint}/_berth/terminate", data=body, timeout=10).close()

    # ---- Berth's queues.

    def submit(self, body: dict[str, Any] | str) -> str:
        """Sends one submission and returns its message id."""
        (message_id,) = self.submit_all([body])
        return message_id

    def submit_all(self, bodies: list[dict[str, Any] | str]) -> list[str]:
        """Sends submissions, ten in a call, and returns their message ids."""
        message_ids = []
        for at in range(0, len(bodies), 10):
            entries = [
                {"Id": str(index), "MessageBody": body if isinstance(body, str) else json.dumps(body)}
                for index, body in enumerate(bodies[at : at + 10])
            ]
            answer = self.sqs.send_message_batch(QueueUrl=self.outputs["SubmissionQueueUrl"], Entries=entries)
            assert not answer.get("Failed"), answer["Failed"]
            sent = {entry["Id"]: entry["MessageId"] for entry in answer["Successful"]}
            message_ids += [sent[entry["Id"]] for entry in entries]
        return message_ids

    def wake(self, cluster: str) -> None:
        body = json.dumps({"wake": {"cluster": cluster}})
        self.sqs.send_message(QueueUrl=self.outputs["WakeQueueUrl"], MessageBody=body)

    def refusal(self, message_id: str) -> dict[str, Any]:
        """Waits for the refusal of this message."""
        return eventually(
            lambda: self.refusals().get(message_id),
            lambda refusal: refusal is not None,
            f"message {message_id} is refused",
        )

    def refusals(self) -> dict[str, dict[str, Any]]:
        """All refusals so far, by message id."""
        queue = self.outputs["RefusalsQueueUrl"]
        while messages := self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                refusal = json.loads(message["Body"])
                self._refusals[refusal["messageId"]] = refusal
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return self._refusals

    def dead_letters(self) -> list[dict[str, Any]]:
        """Submissions on their dead-letter queue, with their attributes; they stay there."""
        answer = self.sqs.receive_message(
            QueueUrl=self.outputs["SubmissionDeadLetterQueueUrl"],
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            VisibilityTimeout=0,
        )
        return answer.get("Messages", [])

    # ---- What it tells others.

    def listen_to_published_events(self) -> None:
        """Brings what is published to a queue, as somebody who hooks on would."""
        self._listener = self.sqs_without_tls.create_queue(QueueName="listener")["QueueUrl"]
        arn = self.sqs_without_tls.get_queue_attributes(QueueUrl=self._listener, AttributeNames=["QueueArn"])
        self.events.put_rule(Name="listener", EventPattern=json.dumps({"source": ["berth"]}))
        self.events.put_targets(Rule="listener", Targets=[{"Id": "1", "Arn": arn["Attributes"]["QueueArn"]}])

    def published(self, kind: str, **detail: Any) -> list[dict[str, Any]]:
        """The details of the events of this kind so far that have these fields, in the order of their arrival."""
        receive = self.sqs_without_tls.receive_message
        while messages := receive(QueueUrl=self._listener, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self._published.append(json.loads(message["Body"]))
                self.sqs_without_tls.delete_message(QueueUrl=self._listener, ReceiptHandle=message["ReceiptHandle"])
        of_kind = [event["detail"] for event in self._published if event["detail-type"] == kind]
        return [told for told in of_kind if detail.items() <= {name: told.get(name) for name in detail}.items()]

    # ---- Its functions and tables.

    def task_item(self, task: str) -> dict[str, Any]:
        """The record of a task as it is stored; empty when there is none."""
        key = {"pk": {"S": f"task#{task}"}, "sk": {"S": "task"}}
        answer = self.dynamodb.get_item(TableName=self.outputs["TasksTableName"], Key=key, ConsistentRead=True)
        return answer.get("Item", {})

    def state_of(self, task: str) -> str | None:
        item = self.task_item(task)
        return item["state"]["S"] if item else None

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Invokes a function and waits for its answer, which must not be an error."""
        name = self.outputs[f"{function}FunctionName"]
        answer = self.functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        payload = json.load(answer["Payload"])
        assert "FunctionError" not in answer, payload
        return payload

    def capacity_items(self) -> list[dict[str, Any]]:
        return self.items(self.outputs["CapacityTableName"])

    def task_items(self) -> list[dict[str, Any]]:
        return self.items(self.outputs["TasksTableName"])

    def keep_logs(self, file: Path) -> None:
        """Writes what the functions have logged into a file: whoever looks for the cause of a failure starts there."""
        with file.open("w") as kept:
            for group in self.logs.get_paginator("describe_log_groups").paginate().search("logGroups[].logGroupName"):
                pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
                for event in pages.search("events[]"):
                    kept.write(f"{group.rpartition('/')[2]} {event['message'].rstrip()}\n")

    def items(self, table: str) -> list[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]


def _started_task(task: dict[str, Any]) -> StartedTask:
    _, attempt, submission = task["startedBy"].split("/", 2)
    return StartedTask(
        submission=submission,
        attempt=int(attempt),
        instance=task["containerInstanceArn"],
        status=task["lastStatus"],
        created_at=task["createdAt"].timestamp(),
    )


def sqs_event(queue_arn: str, bodies: list[str]) -> dict[str, Any]:
    """What Lambda hands to a function for these messages."""
    now = str(int(time.time() * 1000))
    return {
        "Records": [
            {
                "messageId": str(uuid.uuid4()),
                "receiptHandle": "none",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": now,
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": now,
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": "us-east-1",
            }
            for body in bodies
        ]
    }


def command(action: str, **fields: Any) -> dict[str, Any]:
    """A message of somebody who has changed his mind."""
    return {"action": action} | fields


def work(cluster: str, name: str, seconds: int = 1, **fields: Any) -> dict[str, Any]:
    """A submission of a task that runs so many seconds."""
    environment = [{"name": "BERTH_TASK_SECONDS", "value": str(seconds)}]
    return {
        "id": name,
        "cluster": cluster,
        "taskDefinition": TASK_DEFINITION,
        "overrides": {"containerOverrides": [{"name": "main", "environment": environment}]},
    } | fields
