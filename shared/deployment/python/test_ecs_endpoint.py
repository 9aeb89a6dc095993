"""The ECS endpoint of `berth ecs`, through boto3: what works with AWS works here."""

import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from processes import Server

QUICK = {"Delay": 1, "MaxAttempts": 20}
ACCOUNT = "123456789012"


class Endpoint:
    """A running endpoint."""

    def __init__(self, folder, *options):
        self.events_file = folder / "events.jsonl"
        self.log = folder / "berth.log"
        command = [
            os.environ["BERTH_BINARY"], "ecs", "--port", "0", "--events", str(self.events_file),
            "--start-seconds", "0.05", "--stop-seconds", "0.3", *options,
        ]  # fmt: skip
        self.server = Server("the ECS endpoint", command, dict(os.environ), self.log)
        self.url = self._url()

    def _url(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.server.process.poll() is None:
            text = self.log.read_text()
            if "\n" in text:
                return text.split("listening on ", 1)[1].strip()
            time.sleep(0.02)
        self.server.stop()
        raise RuntimeError(self.log.read_text())

    def client(self):
        return boto3.client(
            "ecs",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def backstage(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}/_berth/{path}", data=data, timeout=5) as answer:
            return json.load(answer)

    def events(self):
        return [json.loads(line) for line in self.events_file.read_text().splitlines()]

    def details(self, kind, arn):
        """The details of all events of one thing, in the order they were sent."""
        return [it["detail"] for it in self.events() if it["detail-type"] == kind and it["resources"] == [arn]]


@pytest.fixture
def endpoint(tmp_path):
    endpoint = Endpoint(tmp_path)
    yield endpoint
    endpoint.server.stop()


@pytest.fixture
def ecs(endpoint):
    return endpoint.client()


def register_instance(ecs, number=1, cpu=2048, memory=1000, **more):
    document = {
        "instanceId": f"i-{number:017x}", "instanceType": "m5.large", "availabilityZone": "us-east-1a",
        "region": "us-east-1", "accountId": ACCOUNT,
    }  # fmt: skip
    document.update(more.pop("document", {}))
    resources = [
        {"name": "CPU", "type": "INTEGER", "integerValue": cpu},
        {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
        *more.pop("resources", []),
    ]
    answer = ecs.register_container_instance(
        instanceIdentityDocument=json.dumps(document), totalResources=resources, **more
    )
    return answer["containerInstance"]


def register_definition(ecs, family="etl", memory=100, **more):
    container = {"name": "main", "image": "busybox", "memory": memory, **more.pop("container", {})}
    answer = ecs.register_task_definition(family=family, containerDefinitions=[container], **more)
    return answer["taskDefinition"]


def resource(instance, name, which="remainingResources"):
    return next(it for it in instance[which] if it["name"] == name)


def describe(ecs, arn):
    return ecs.describe_container_instances(containerInstances=[arn])["containerInstances"][0]


def run(ecs, definition="etl", **more):
    return ecs.run_task(taskDefinition=definition, **more)


def seconds(number):
    environment = [{"name": "BERTH_TASK_SECONDS", "value": str(number)}]
    return {"containerOverrides": [{"name": "main", "environment": environment}]}


def refused(code, call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == code, caught.value
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value.response


def test_clusters_are_made_described_listed_and_deleted(ecs):
    made = ecs.create_cluster(clusterName="batch", tags=[{"key": "team", "value": "data"}])["cluster"]
    assert made["clusterArn"] == f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/batch"
    assert made["status"] == "ACTIVE"
    again = ecs.create_cluster(clusterName="batch")["cluster"]
    assert again["tags"] == [{"key": "team", "value": "data"}]
    answer = ecs.describe_clusters(clusters=["batch", made["clusterArn"], "nowhere"])
    assert [it["clusterName"] for it in answer["clusters"]] == ["batch", "batch"]
    assert [it["reason"] for it in answer["failures"]] == ["MISSING"]
    assert made["clusterArn"] in ecs.list_clusters()["clusterArns"]
    register_instance(ecs, cluster="batch")
    refused("ClusterContainsContainerInstancesException", ecs.delete_cluster, cluster="batch")
    assert ecs.create_cluster(clusterName="empty")["cluster"]["registeredContainerInstancesCount"] == 0
    assert ecs.delete_cluster(cluster="empty")["cluster"]["status"] == "INACTIVE"
    for call in (ecs.list_tasks, ecs.list_container_instances):
        refused("ClusterNotFoundException", call, cluster="empty")


def test_a_revision_is_registered_described_and_deregistered(ecs):
    first = register_definition(
        ecs, cpu="1 vCPU", memory=64, container={"portMappings": [{"containerPort": 80}]},
        placementConstraints=[{"type": "memberOf", "expression": "attribute:stack == prod"}],
    )  # fmt: skip
    assert (first["family"], first["revision"], first["status"], first["cpu"]) == ("etl", 1, "ACTIVE", "1024")
    mapping = first["containerDefinitions"][0]["portMappings"][0]
    assert (mapping["hostPort"], mapping["protocol"]) == (0, "tcp")
    second = register_definition(ecs)
    assert second["taskDefinitionArn"].endswith("task-definition/etl:2")
    for name in ("etl", "etl:2", second["taskDefinitionArn"]):
        assert ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]["revision"] == 2
    assert ecs.deregister_task_definition(taskDefinition="etl:2")["taskDefinition"]["status"] == "INACTIVE"
    assert ecs.describe_task_definition(taskDefinition="etl")["taskDefinition"]["revision"] == 1
    assert ecs.describe_task_definition(taskDefinition="etl:2")["taskDefinition"]["status"] == "INACTIVE"
    assert ecs.list_task_definitions()["taskDefinitionArns"] == [first["taskDefinitionArn"]]
    refused("ClientException", ecs.describe_task_definition, taskDefinition="nothing")
    refused("ClientException", ecs.register_task_definition, family="bad name",
            containerDefinitions=[{"name": "a", "image": "b", "memory": 1}])  # fmt: skip
    refused("ClientException", ecs.register_task_definition, family="sizeless",
            containerDefinitions=[{"name": "a", "image": "b"}])  # fmt: skip


def test_an_instance_has_the_resources_and_attributes_it_registers_with(ecs):
    instance = register_instance(
        ecs, memory=3884,
        resources=[
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22", "51678"]},
            {"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-a", "GPU-b"]},
        ],
        attributes=[{"name": "stack", "value": "prod"}],
        versionInfo={"agentVersion": "1.50.0"},
    )  # fmt: skip
    assert instance["status"] == "ACTIVE" and instance["agentConnected"] is True
    assert instance["ec2InstanceId"] == f"i-{1:017x}"
    assert instance["versionInfo"]["agentVersion"] == "1.50.0"
    memory = resource(instance, "MEMORY")
    assert (memory["integerValue"], memory["longValue"], memory["doubleValue"]) == (3884, 0, 0.0)
    assert sorted(resource(instance, "PORTS")["stringSetValue"]) == ["22", "51678"]
    assert sorted(resource(instance, "GPU")["stringSetValue"]) == ["GPU-a", "GPU-b"]
    attributes = {it["name"]: it.get("value") for it in instance["attributes"]}
    assert attributes["stack"] == "prod" and attributes["ecs.availability-zone"] == "us-east-1a"
    assert attributes["ecs.instance-type"] == "m5.large" and attributes["ecs.os-type"] == "linux"
    again = register_instance(ecs, containerInstanceArn=instance["containerInstanceArn"])
    assert again["containerInstanceArn"] == instance["containerInstanceArn"]
    refused("ClientException", ecs.register_container_instance, instanceIdentityDocument="no JSON")


def test_instances_come_in_pages_by_status_and_by_filter(ecs):
    arns = {
        register_instance(ecs, number, attributes=[{"name": "odd", "value": str(number % 2)}])["containerInstanceArn"]
        for number in range(125)
    }
    pages = list(ecs.get_paginator("list_container_instances").paginate())
    assert [len(page["containerInstanceArns"]) for page in pages] == [100, 25]
    assert {arn for page in pages for arn in page["containerInstanceArns"]} == arns
    small = list(ecs.get_paginator("list_container_instances").paginate(PaginationConfig={"PageSize": 50}))
    assert [len(page["containerInstanceArns"]) for page in small] == [50, 50, 25]
    odd = ecs.list_container_instances(filter="attribute:odd == 1 and attribute:ecs.instance-type =~ m5.*")
    assert len(odd["containerInstanceArns"]) == 62
    assert ecs.list_container_instances(filter="attribute:odd !exists")["containerInstanceArns"] == []
    one = ecs.list_container_instances(filter=f"ec2InstanceId == i-{7:017x}")["containerInstanceArns"]
    assert len(one) == 1
    drained = ecs.update_container_instances_state(containerInstances=one, status="DRAINING")
    assert drained["containerInstances"][0]["status"] == "DRAINING" and drained["failures"] == []
    assert ecs.list_container_instances(status="DRAINING")["containerInstanceArns"] == one
    assert len(ecs.list_container_instances(status="ACTIVE")["containerInstanceArns"]) == 100
    assert ecs.update_container_instances_state(containerInstances=one, status="ACTIVE")["containerInstances"]
    for filter in ("attribute:odd = 1", "(", "attribute:odd =~ (?=x)"):
        refused("InvalidParameterException", ecs.list_container_instances, filter=filter)
    refused("InvalidParameterException", ecs.list_container_instances, nextToken="not one of ours")


def test_describing_what_does_not_exist_is_a_failure_and_no_error(ecs):
    instance = register_instance(ecs)
    id = instance["containerInstanceArn"].rsplit("/", 1)[1]
    answer = ecs.describe_container_instances(containerInstances=[id, "0" * 32])
    assert [it["containerInstanceArn"] for it in answer["containerInstances"]] == [instance["containerInstanceArn"]]
    assert [it["reason"] for it in answer["failures"]] == ["MISSING"]
    assert answer["failures"][0]["arn"].endswith(f"container-instance/default/{'0' * 32}")
    answer = ecs.describe_tasks(tasks=["0" * 32])
    assert answer["tasks"] == [] and answer["failures"][0]["reason"] == "MISSING"
    refused("InvalidParameterException", ecs.describe_tasks, tasks=[])


def test_attributes_are_put_listed_and_deleted_without_a_new_version(ecs, endpoint):
    instance = register_instance(ecs)
    arn = instance["containerInstanceArn"]
    ecs.put_attributes(attributes=[{"name": "stack", "value": "prod", "targetId": arn}])
    listed = ecs.list_attributes(targetType="container-instance", attributeName="stack")["attributes"]
    assert listed == [{"name": "stack", "value": "prod", "targetType": "container-instance", "targetId": arn}]
    assert len(ecs.list_container_instances(filter="attribute:stack == prod")["containerInstanceArns"]) == 1
    ecs.delete_attributes(attributes=[{"name": "stack", "targetId": arn}])
    assert ecs.list_attributes(targetType="container-instance", attributeName="stack")["attributes"] == []
    assert describe(ecs, arn)["version"] == instance["version"]
    assert len(endpoint.details("ECS Container Instance State Change", arn)) == 1
    refused("TargetNotFoundException", ecs.put_attributes, attributes=[{"name": "a", "targetId": "nobody"}])
    pages = ecs.get_paginator("list_attributes").paginate(targetType="container-instance")
    names = [it["name"] for page in pages for it in page["attributes"]]
    assert "ecs.capability.task-eni" in names and len(names) == len(set(names))


def test_a_task_runs_for_as_long_as_its_overrides_say(ecs, endpoint):
    arn = register_instance(ecs)["containerInstanceArn"]
    register_definition(ecs)
    answer = run(ecs, startedBy="me", overrides=seconds(1.5), tags=[{"key": "a", "value": "b"}])
    task = answer["tasks"][0]
    assert answer["failures"] == [] and task["lastStatus"] == "PENDING" and task["desiredStatus"] == "RUNNING"
    assert (task["group"], task["startedBy"], task["launchType"]) == ("family:etl", "me", "EC2")
    assert task["containerInstanceArn"] == arn and task["memory"] == "100"
    assert resource(describe(ecs, arn), "MEMORY")["integerValue"] == 900
    ecs.get_waiter("tasks_running").wait(tasks=[task["taskArn"]], WaiterConfig=QUICK)
    assert describe(ecs, arn)["runningTasksCount"] == 1
    ecs.get_waiter("tasks_stopped").wait(tasks=[task["taskArn"]], WaiterConfig=QUICK)
    ended = ecs.describe_tasks(tasks=[task["taskArn"]], include=["TAGS"])["tasks"][0]
    assert (ended["stopCode"], ended["containers"][0]["exitCode"]) == ("EssentialContainerExited", 0)
    assert 1.4 < (ended["stoppingAt"] - ended["startedAt"]).total_seconds() < 3
    assert ended["tags"] == [{"key": "a", "value": "b"}]
    assert resource(describe(ecs, arn), "MEMORY")["integerValue"] == 1000
    assert ecs.list_tasks(startedBy="me")["taskArns"] == []
    assert ecs.list_tasks(startedBy="me", desiredStatus="STOPPED")["taskArns"] == [task["taskArn"]]
    details = endpoint.details("ECS Task State Change", task["taskArn"])
    states = [(it["version"], it["lastStatus"], it["desiredStatus"]) for it in details]
    assert states == [
        (1, "PENDING", "RUNNING"), (2, "RUNNING", "RUNNING"), (3, "STOPPING", "STOPPED"), (4, "STOPPED", "STOPPED"),
    ]  # fmt: skip


def test_run_task_starts_what_fits_and_names_the_rest(ecs):
    register_instance(ecs, memory=250)
    register_definition(ecs)
    answer = run(ecs, count=10)
    assert len(answer["tasks"]) == 2
    assert [it["reason"] for it in answer["failures"]] == ["RESOURCE:MEMORY"]
    register_definition(ecs, "huge", memory=10, container={"cpu": 4096})
    assert run(ecs, "huge")["failures"][0]["reason"] == "RESOURCE:CPU"
    for count in (0, 11):
        refused("InvalidParameterException", ecs.run_task, taskDefinition="etl", count=count)


def test_constraints_and_strategies_of_run_task_are_obeyed(ecs):
    zones = {
        register_instance(ecs, number, document={"availabilityZone": f"us-east-1{zone}"})["containerInstanceArn"]: zone
        for number, zone in enumerate("aab", 1)
    }
    register_definition(ecs)
    pin = [{"type": "memberOf", "expression": f"ec2InstanceId == i-{3:017x}"}]
    for _ in range(3):
        assert zones[run(ecs, placementConstraints=pin)["tasks"][0]["containerInstanceArn"]] == "b"
    distinct = run(ecs, count=5, group="alone", placementConstraints=[{"type": "distinctInstance"}])
    assert len({task["containerInstanceArn"] for task in distinct["tasks"]}) == len(distinct["tasks"]) == 3
    spread = [{"type": "spread", "field": "attribute:ecs.availability-zone"}]
    answer = run(ecs, count=4, group="even", placementStrategy=spread)
    assert sorted(zones[task["containerInstanceArn"]] for task in answer["tasks"]) == ["a", "a", "b", "b"]
    packed = run(ecs, count=3, group="packed", placementStrategy=[{"type": "binpack", "field": "memory"}])
    assert len({task["containerInstanceArn"] for task in packed["tasks"]}) == 1
    nowhere = [{"type": "memberOf", "expression": "attribute:stack == prod"}]
    reasons = {it["reason"] for it in run(ecs, placementConstraints=nowhere)["failures"]}
    assert reasons == {"MemberOf placement constraint unsatisfied."}
    for constraint in (
        {"type": "memberOf", "expression": "attribute:stack === prod"},
        {"type": "memberOf"},
        {"type": "distinctInstance", "expression": "attribute:stack exists"},
    ):
        refused("InvalidParameterException", ecs.run_task, taskDefinition="etl", placementConstraints=[constraint])
    refused("InvalidParameterException", ecs.run_task, taskDefinition="etl",
            placementStrategy=[{"type": "binpack", "field": "disk"}])  # fmt: skip


def test_what_cannot_be_run_is_an_exception_by_name(ecs):
    register_definition(ecs)
    empty = refused("InvalidParameterException", ecs.run_task, taskDefinition="etl")
    assert empty["Error"]["Message"] == "No Container Instances were found in your cluster."
    register_instance(ecs)
    refused("ClusterNotFoundException", ecs.run_task, taskDefinition="etl", cluster="nowhere")
    refused("ClientException", ecs.run_task, taskDefinition="nothing")
    refused("UnsupportedFeatureException", ecs.run_task, taskDefinition="etl", launchType="FARGATE")
    refused("InvalidParameterException", ecs.run_task, taskDefinition="etl",
            overrides={"containerOverrides": [{"name": "mian", "memory": 1}]})  # fmt: skip
    refused("InvalidParameterException", ecs.run_task, taskDefinition="etl", startedBy="a b")
    register_definition(ecs, "private", networkMode="awsvpc")
    refused("InvalidParameterException", ecs.run_task, taskDefinition="private")
    ecs.deregister_task_definition(taskDefinition="etl:1")
    refused("ClientException", ecs.run_task, taskDefinition="etl:1")


def test_overrides_change_what_a_task_takes(ecs):
    arn = register_instance(ecs)["containerInstanceArn"]
    register_definition(ecs, container={"memoryReservation": 50})
    run(ecs)
    assert resource(describe(ecs, arn), "MEMORY")["integerValue"] == 950
    run(ecs, overrides={"containerOverrides": [{"name": "main", "memoryReservation": 200, "cpu": 24}]})
    assert resource(describe(ecs, arn), "MEMORY")["integerValue"] == 750
    assert resource(describe(ecs, arn), "CPU")["integerValue"] == 2024
    run(ecs, overrides={"cpu": "1 vCPU", "memory": "0.5 GB"})
    assert resource(describe(ecs, arn), "MEMORY")["integerValue"] == 238
    assert resource(describe(ecs, arn), "CPU")["integerValue"] == 1000


def test_a_client_token_starts_its_task_once(ecs, endpoint):
    arn = register_instance(ecs)["containerInstanceArn"]
    register_definition(ecs)
    first = run(ecs, clientToken="token-1", startedBy="once", overrides=seconds(0.2))
    second = run(ecs, clientToken="token-1", startedBy="once", overrides=seconds(0.2))
    assert [it["taskArn"] for it in first["tasks"]] == [it["taskArn"] for it in second["tasks"]]
    assert resource(describe(ecs, arn), "MEMORY")["integerValue"] == 900
    conflict = refused("ConflictException", ecs.run_task, taskDefinition="etl", clientToken="token-1", count=2)
    assert conflict["resourceIds"] == [first["tasks"][0]["taskArn"]]
    ecs.get_waiter("tasks_stopped").wait(tasks=[first["tasks"][0]["taskArn"]], WaiterConfig=QUICK)
    late = run(ecs, clientToken="token-1", startedBy="once", overrides=seconds(0.2))["tasks"]
    assert late == [{"taskArn": first["tasks"][0]["taskArn"], "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}]
    counts = endpoint.backstage("calls")
    assert counts["startedBy"]["once"] == {"calls": 3, "started": 1, "refused": 0, "repeated": 2, "failed": 0}
    assert counts["runTask"]["failed"] == 1 and counts["actions"]["RunTask"] == 4


def test_host_ports_and_gpus_are_given_out_and_taken_back(ecs, endpoint):
    gpu = [{"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-a"]}]
    arn = register_instance(ecs, resources=gpu)["containerInstanceArn"]
    register_definition(ecs, container={
        "portMappings": [
            {"containerPort": 80, "hostPort": 8080},
            {"containerPort": 53, "hostPort": 53, "protocol": "udp"},
            {"containerPort": 9000},
        ],
        "resourceRequirements": [{"type": "GPU", "value": "1"}],
    })  # fmt: skip
    task = run(ecs)["tasks"][0]["taskArn"]
    instance = describe(ecs, arn)
    assert "8080" in resource(instance, "PORTS")["stringSetValue"]
    assert resource(instance, "PORTS_UDP")["stringSetValue"] == ["53"]
    assert resource(instance, "GPU")["stringSetValue"] == []
    assert resource(instance, "GPU", "registeredResources")["stringSetValue"] == ["GPU-a"]
    assert run(ecs)["failures"][0]["reason"].startswith("RESOURCE:")
    ecs.get_waiter("tasks_running").wait(tasks=[task], WaiterConfig=QUICK)
    container = ecs.describe_tasks(tasks=[task])["tasks"][0]["containers"][0]
    bindings = {(it["containerPort"], it["hostPort"], it["protocol"]) for it in container["networkBindings"]}
    assert bindings == {(80, 8080, "tcp"), (53, 53, "udp"), (9000, 32768, "tcp")}
    assert container["gpuIds"] == ["GPU-a"]
    ecs.stop_task(task=task)
    assert resource(describe(ecs, arn), "GPU")["stringSetValue"] == ["GPU-a"]
    assert resource(describe(ecs, arn), "PORTS_UDP")["stringSetValue"] == []


def test_stopping_gives_room_at_once_and_what_comes_there_waits(ecs):
    register_instance(ecs, memory=100)
    register_definition(ecs)
    first = run(ecs)["tasks"][0]["taskArn"]
    ecs.get_waiter("tasks_running").wait(tasks=[first], WaiterConfig=QUICK)
    stopped = ecs.stop_task(task=first, reason="make room")["task"]
    assert (stopped["desiredStatus"], stopped["stoppedReason"]) == ("STOPPED", "make room")
    second = run(ecs)["tasks"][0]["taskArn"]
    ecs.stop_task(task=first, reason="again")
    ecs.get_waiter("tasks_running").wait(tasks=[second], WaiterConfig=QUICK)
    old, new = ecs.describe_tasks(tasks=[first, second])["tasks"]
    assert old["lastStatus"] == "STOPPED" and old["stoppedReason"] == "make room"
    assert new["startedAt"] >= old["stoppedAt"]
    assert new["createdAt"] < old["stoppedAt"]
    refused("InvalidParameterException", ecs.stop_task, task="0" * 32)


def test_start_task_takes_no_more_than_fits(ecs):
    arn = register_instance(ecs, memory=100)["containerInstanceArn"]
    register_definition(ecs)
    answer = ecs.start_task(taskDefinition="etl", containerInstances=[arn, "0" * 32], startedBy="hand")
    assert len(answer["tasks"]) == 1 and answer["failures"][0]["reason"] == "MISSING"
    answer = ecs.start_task(taskDefinition="etl", containerInstances=[arn])
    assert answer["tasks"] == [] and answer["failures"] == [{"arn": arn, "reason": "RESOURCE:MEMORY"}]


def test_tasks_are_listed_in_pages_and_by_filter(ecs):
    one = register_instance(ecs, 1, memory=100_000)["containerInstanceArn"]
    two = register_instance(ecs, 2, memory=100_000)["containerInstanceArn"]
    register_definition(ecs)
    register_definition(ecs, "web")
    for _ in range(12):
        ecs.start_task(taskDefinition="etl", containerInstances=[one] * 10)
    ecs.start_task(taskDefinition="web", containerInstances=[two], startedBy="hand")
    pages = list(ecs.get_paginator("list_tasks").paginate())
    assert [len(page["taskArns"]) for page in pages] == [100, 21]
    assert len({arn for page in pages for arn in page["taskArns"]}) == 121
    web = ecs.list_tasks(family="web")["taskArns"]
    assert len(web) == 1 and ecs.list_tasks(containerInstance=two)["taskArns"] == web
    assert ecs.list_tasks(startedBy="hand")["taskArns"] == web
    assert ecs.list_tasks(desiredStatus="STOPPED")["taskArns"] == []
    assert ecs.list_tasks(launchType="FARGATE")["taskArns"] == []
    refused("InvalidParameterException", ecs.list_tasks, startedBy="hand", family="web")


def test_an_instance_leaves_by_force_or_by_termination(ecs, endpoint):
    arn = register_instance(ecs, 1)["containerInstanceArn"]
    register_definition(ecs)
    task = run(ecs)["tasks"][0]["taskArn"]
    refused("InvalidParameterException", ecs.deregister_container_instance, containerInstance=arn)
    gone = ecs.deregister_container_instance(containerInstance=arn, force=True)["containerInstance"]
    assert gone["status"] == "INACTIVE"
    assert ecs.list_container_instances()["containerInstanceArns"] == []
    assert ecs.describe_tasks(tasks=[task])["tasks"][0]["lastStatus"] == "STOPPED"
    other = register_instance(ecs, 2)["containerInstanceArn"]
    endpoint.backstage("agent", {"containerInstance": other, "connected": False})
    assert describe(ecs, other)["agentConnected"] is False
    assert run(ecs)["failures"] == [{"arn": other, "reason": "AGENT"}]
    endpoint.backstage("agent", {"containerInstance": other, "connected": True})
    task = run(ecs)["tasks"][0]["taskArn"]
    endpoint.backstage("terminate", {"containerInstance": f"i-{2:017x}"})
    assert "terminated" in ecs.describe_tasks(tasks=[task])["tasks"][0]["stoppedReason"]
    versions = [it["version"] for it in endpoint.details("ECS Container Instance State Change", other)]
    assert versions == sorted(set(versions))


def test_events_are_written_as_eventbridge_sends_them(ecs, endpoint):
    arn = register_instance(ecs)["containerInstanceArn"]
    event = endpoint.events()[-1]
    assert (event["version"], event["source"], event["account"]) == ("0", "aws.ecs", ACCOUNT)
    assert event["detail-type"] == "ECS Container Instance State Change" and event["resources"] == [arn]
    detail = event["detail"]
    assert detail["clusterArn"].endswith(":cluster/default") and detail["version"] == 1
    assert detail["updatedAt"].endswith("Z") and detail["registeredAt"].endswith("Z")
    memory = resource(detail, "MEMORY")
    assert memory == {"name": "MEMORY", "type": "INTEGER", "integerValue": 1000}
    assert set(resource(detail, "PORTS")) == {"name", "type", "stringSetValue"}
    register_definition(ecs)
    task = run(ecs)["tasks"][0]["taskArn"]
    task_event, instance_event = endpoint.events()[-2:]
    assert task_event["resources"] == [task] and isinstance(task_event["detail"]["memory"], str)
    assert task_event["detail"]["createdAt"].endswith("Z") and "healthStatus" not in task_event["detail"]
    assert instance_event["detail"]["version"] == 2
    assert resource(instance_event["detail"], "MEMORY")["integerValue"] == 900
    ids = [it["id"] for it in endpoint.events()]
    assert len(ids) == len(set(ids))


def test_events_reach_a_function_in_order_also_when_it_fails_at_first(tmp_path):
    received, failures = [], [503, 500]

    class Lambda(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if failures:
                self.send_response(failures.pop())
            else:
                received.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Lambda)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    options = ["--invoke-endpoint", url, "--invoke-function", "tracker", "--event-source", "berth.test"]
    endpoint = Endpoint(tmp_path, *options, "--account", "000000000000")
    try:
        ecs = endpoint.client()
        for number in range(5):
            register_instance(ecs, number)
        deadline = time.monotonic() + 20
        while len(received) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [it[2] for it in received] == endpoint.events()
        path, headers, event = received[0]
        assert path == "/2015-03-31/functions/tracker/invocations"
        assert {name.lower(): value for name, value in headers.items()}["x-amz-invocation-type"] == "Event"
        assert (event["source"], event["account"]) == ("berth.test", "000000000000")
    finally:
        endpoint.server.stop()
        server.shutdown()


def test_instances_of_a_file_are_there_from_the_start(tmp_path):
    fleet = tmp_path / "fleet.csv"
    fleet.write_text("id,az,instance_type,cpu_units,memory_mib,gpu\ni-1,us-east-1b,g4dn.xlarge,4096,15000,1\n")
    endpoint = Endpoint(tmp_path, "--instances", str(fleet))
    try:
        ecs = endpoint.client()
        (arn,) = ecs.list_container_instances()["containerInstanceArns"]
        instance = describe(ecs, arn)
        assert instance["ec2InstanceId"] == "i-1" and len(resource(instance, "GPU")["stringSetValue"]) == 1
        assert len(endpoint.events()) == 1
    finally:
        endpoint.server.stop()


def post(url, target, body, method="POST"):
    headers = {"content-type": "application/x-amz-json-1.1"}
    if target is not None:
        headers["x-amz-target"] = target
    request = urllib.request.Request(f"{url}/", data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_broken_request_is_answered_with_an_exception(endpoint):
    prefix = "AmazonEC2ContainerServiceV20141113."
    for target, body, exception in [
        (prefix + "MakeCoffee", b"{}", "UnknownOperationException"),
        (None, b"{}", "UnknownOperationException"),
        ("SomethingElse.RunTask", b"{}", "UnknownOperationException"),
        (prefix + "RunTask", b"{", "SerializationException"),
        (prefix + "RunTask", b"[]", "SerializationException"),
        (prefix + "RunTask", b"[" * 100_000, "SerializationException"),
        (prefix + "RunTask", b" " * 2_000_000, "SerializationException"),
        (prefix + "RunTask", b'{"taskDefinition": 5}', "SerializationException"),
        (prefix + "RunTask", b'{"taskDefinition": "a", "count": -1}', "InvalidParameterException"),
        (prefix + "RunTask", b"{}", "InvalidParameterException"),
        (prefix + "RegisterTaskDefinition", b'{"family": "a", "containerDefinitions": [["a"]]}', "ClientException"),
        (prefix + "RegisterTaskDefinition", b'{"family": "a", "containerDefinitions": 1}', "SerializationException"),
        (prefix + "RegisterContainerInstance", b'{"instanceIdentityDocument": "[]"}', "ClientException"),
        (prefix + "DescribeClusters", "{\"clusters\": [\"\u00e4\"]}".encode(), None),
    ]:
        status, answer = post(endpoint.url, target, body)
        assert (status, answer.get("__type")) == ((200, None) if exception is None else (400, exception)), body[:80]
    assert post(endpoint.url, None, None, method="GET")[0] == 404


def test_it_listens_on_loopback_only_and_ends_when_asked(tmp_path):
    endpoint = Endpoint(tmp_path)
    assert endpoint.url.startswith("http://127.0.0.1:")
    endpoint.server.process.terminate()
    assert endpoint.server.process.wait(5) == 0
    endpoint.server.stop()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--port", "0", "--task-seconds", "soon"], "give seconds"),
        (["--port", "0", "--account", "12"], "give 12 digits"),
        (["--port", "0", "--instances", "/nowhere.csv"], "nowhere.csv"),
        (["--port", "0", "--invoke-endpoint", "https://h:1", "--invoke-function", "f"], "plain HTTP"),
        (["--port", "0", "--invoke-function", "f"], "--invoke-endpoint"),
    ],
)
def test_a_wrong_option_is_explained(options, complaint):
    command = [os.environ["BERTH_BINARY"], "ecs", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert ended.returncode == 2 and complaint in ended.stderr
