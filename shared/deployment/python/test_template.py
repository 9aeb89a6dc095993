"""The template by itself, and beside the code it deploys."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import calls
from template import ACCOUNT, REGION, ROOT, Template

DAYS_14 = 14 * 24 * 60 * 60
DEAD_LETTER_QUEUES = {"SubmissionDeadLetterQueue", "WakeDeadLetterQueue", "EventDeadLetterQueue"}
# Read by the users of the deployment: what happens to a refusal that they fail to read is theirs to say.
READ_BY_USERS = {"RefusalsQueue"}


@pytest.fixture(scope="module")
def template() -> Template:
    return Template()


def rust_constant(path: str, name: str) -> int:
    found = re.search(rf"const {name}: \w+ = ([\d_]+);", (ROOT / path).read_text())
    assert found, f"`{name}` is no longer in {path}: say here where its value is now"
    return int(found[1])


def actions(statement: dict) -> list[str]:
    return statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]


def test_sam_finds_nothing_to_complain_about():
    sam = subprocess.run(
        [os.environ["BERTH_SAM"], "validate", "--lint", "--template-file", str(ROOT / "template.yaml")],
        env=os.environ | {"AWS_DEFAULT_REGION": REGION, "SAM_CLI_TELEMETRY": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert sam.returncode == 0, sam.stdout + sam.stderr


# ---- Queues and tables.


def test_every_queue_is_encrypted_and_keeps_messages_for_14_days(template):
    for name, queue in template.resources("AWS::SQS::Queue").items():
        assert queue["SqsManagedSseEnabled"] is True, name
        assert queue["MessageRetentionPeriod"] == DAYS_14, name


def test_every_queue_refuses_calls_without_tls(template):
    refusing = set()
    for policy in template.resources("AWS::SQS::QueuePolicy").values():
        (queue,) = policy["Queues"]
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Resource"] == f"{queue}.Arn"
            if statement["Effect"] == "Deny":
                assert (statement["Principal"], statement["Action"]) == ("*", "sqs:*")
                assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                refusing.add(queue)
    assert refusing == set(template.resources("AWS::SQS::Queue"))


def test_every_queue_that_berth_reads_has_a_dead_letter_queue(template):
    queues = template.resources("AWS::SQS::Queue")
    assert set(queues) >= DEAD_LETTER_QUEUES | READ_BY_USERS
    for name in set(queues) - DEAD_LETTER_QUEUES - READ_BY_USERS:
        redrive = queues[name]["RedrivePolicy"]
        assert redrive["deadLetterTargetArn"].removesuffix(".Arn") in DEAD_LETTER_QUEUES, name
        # Fewer, and a throttled start of the function would look like a crash.
        assert redrive["maxReceiveCount"] >= 5, name


def test_every_queue_mapping_reports_failures_message_by_message(template):
    mappings = [
        event["Properties"]
        for function in template.functions().values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "SQS"
    ]
    assert {mapping["Queue"] for mapping in mappings} == {"SubmissionQueue.Arn", "WakeQueue.Arn"}
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["BatchSize"] == 10
        assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_every_dead_letter_queue_has_an_alarm(template):
    alarms = template.resources("AWS::CloudWatch::Alarm").values()
    watched = {
        alarm["Dimensions"][0]["Value"].removesuffix(".QueueName")
        for alarm in alarms
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible" and alarm["Threshold"] == 0
    }
    assert watched == DEAD_LETTER_QUEUES


def test_tables_are_recoverable_encrypted_and_forget_what_has_expired(template):
    tables = template.resources("AWS::DynamoDB::Table")
    assert set(tables) == {"CapacityTable", "TasksTable"}
    for table in tables.values():
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["SSESpecification"] == {"SSEEnabled": True}
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}
        assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]


# ---- Times that belong together.


def test_an_admitter_ends_before_its_turn_and_the_turn_before_its_wake_returns(template):
    timeout = template.functions()["Admitter"]["Timeout"]
    lease = rust_constant("shared/control/src/cycle.rs", "TURN_LEASE_MS") / 1000
    wake = template.resources("AWS::SQS::Queue")["WakeQueue"]["VisibilityTimeout"]
    assert timeout <= lease < wake


def test_an_admitter_has_more_time_than_it_keeps_in_hand(template):
    in_hand = rust_constant("shared/control/src/cycle.rs", "TIME_IN_HAND_MS") / 1000
    assert template.functions()["Admitter"]["Timeout"] >= 2 * in_hand


def test_a_submission_is_not_delivered_again_while_it_may_still_be_handled(template):
    timeout = template.functions()["Admitter"]["Timeout"]
    assert template.resources("AWS::SQS::Queue")["SubmissionQueue"]["VisibilityTimeout"] >= 6 * timeout


# ---- Events.


def event_pattern(**parameters: str) -> dict:
    return json.loads(Template(**parameters).resources("AWS::Events::Rule")["EcsStateChangeRule"]["EventPattern"])


def test_the_rule_takes_the_events_of_the_clusters_and_no_others():
    assert event_pattern(Clusters="default,gpu-batch") == {
        "source": ["aws.ecs"],
        "detail-type": ["ECS Container Instance State Change", "ECS Task State Change"],
        "detail": {"clusterArn": [{"suffix": ":cluster/default"}, {"suffix": ":cluster/gpu-batch"}]},
    }


def test_the_rule_names_the_kinds_of_events_that_the_code_reads():
    code = (ROOT / "shared/control/src/wire/event.rs").read_text()
    read = set(re.findall(r'const \w+_KIND: &str = "([^"]+)";', code))
    assert set(event_pattern()["detail-type"]) == read


def test_a_rule_may_invoke_its_function_and_no_other_may(template):
    targets = {
        (f"{name}.Arn", target["Arn"].removesuffix(".Arn"))
        for name, rule in template.resources("AWS::Events::Rule").items()
        for target in rule["Targets"]
    }
    assert {function for _, function in targets} == {"CapacityTracker", "Reconciler"}
    permissions = template.resources("AWS::Lambda::Permission").values()
    assert {(permission["SourceArn"], permission["FunctionName"]) for permission in permissions} == targets
    assert {permission["Principal"] for permission in permissions} == {"events.amazonaws.com"}


def test_what_cannot_be_delivered_or_handled_is_kept(template):
    rules = template.resources("AWS::Events::Rule")
    for name, rule in rules.items():
        for target in rule["Targets"]:
            assert target["DeadLetterConfig"] == {"Arn": "EventDeadLetterQueue.Arn"}, name
            assert "RetryPolicy" in target, name
            function = template.functions()[target["Arn"].removesuffix(".Arn")]
            assert function["DeadLetterQueue"]["TargetArn"] == "EventDeadLetterQueue.Arn", name
    policy = template.resources("AWS::SQS::QueuePolicy")["EventDeadLetterQueuePolicy"]["PolicyDocument"]
    (allowed,) = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert allowed["Action"] == "sqs:SendMessage"
    assert set(allowed["Condition"]["ArnEquals"]["aws:SourceArn"]) == {f"{name}.Arn" for name in rules}


def test_changes_of_tasks_and_lanes_reach_the_publisher_and_are_kept_when_it_fails(template):
    assert template.resources("AWS::DynamoDB::Table")["TasksTable"]["StreamSpecification"] == {
        "StreamViewType": "NEW_AND_OLD_IMAGES"
    }
    (mapping,) = [event["Properties"] for event in template.functions()["EventPublisher"]["Events"].values()]
    assert mapping["Stream"] == "TasksTable.StreamArn"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == "EventDeadLetterQueue.Arn"
    # Without an end to the retries, one change that cannot be published would stop all behind it for a day.
    assert mapping["BisectBatchOnFunctionError"] is True and 0 < mapping["MaximumRetryAttempts"] <= 100
    (wanted,) = [json.loads(filter["Pattern"]) for filter in mapping["FilterCriteria"]["Filters"]]
    prefixes = wanted["dynamodb"]["Keys"]["pk"]["S"]
    code = (ROOT / "shared/aws/src/ledger/key.rs").read_text()
    known = re.findall(r'\("(\w+)", \w+\) =>', code[code.index("fn subject_of_partition") :])
    assert [prefix["prefix"] for prefix in prefixes] == [f"{name}#" for name in known]


def test_the_publisher_may_publish_on_one_bus_alone():
    statements = Template(EventBusName="jobs").statements("EventPublisher")
    (publishing,) = [statement for statement in statements if "events:PutEvents" in actions(statement)]
    assert publishing["Resource"] == f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/jobs"


# ---- Permissions.


def test_no_statement_has_a_wildcard_action(template):
    for function in template.functions():
        for statement in template.statements(function):
            assert statement["Effect"] == "Allow"
            assert not [action for action in actions(statement) if "*" in action], statement["Sid"]


def test_only_what_cannot_name_a_resource_is_allowed_on_all(template):
    on_all = {
        action
        for function in template.functions()
        for statement in template.statements(function)
        if statement["Resource"] == "*"
        for action in actions(statement)
    }
    assert on_all == {"ecs:DescribeTaskDefinition", "ecs:ListTasks"}


def test_every_power_over_ecs_ends_at_the_clusters_of_the_deployment():
    template = Template(Clusters="default,gpu-batch")
    clusters = ["arn:*:ecs:*:*:cluster/default", "arn:*:ecs:*:*:cluster/gpu-batch"]
    here = {"aws:RequestedRegion": REGION}
    for function in template.functions():
        for statement in template.statements(function):
            condition = statement.get("Condition", {})
            match actions(statement):
                case ["ecs:RunTask"]:
                    assert statement["Resource"] == f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/*"
                    assert condition == {"ArnEquals": {"ecs:cluster": clusters}}
                case ["ecs:StopTask"]:
                    assert statement["Resource"] == f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/*"
                    assert condition == {"ArnEquals": {"ecs:cluster": clusters}}
                case ["ecs:TagResource"]:
                    assert statement["Resource"] == f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/*"
                    assert condition == {"StringEquals": {"ecs:CreateAction": "RunTask"}}
                case ["ecs:ListContainerInstances"]:
                    assert statement["Resource"] == clusters
                    assert condition == {"StringEquals": here}
                case ["ecs:DescribeTaskDefinition"]:
                    assert condition == {}
                case ["ecs:ListTasks"]:
                    assert condition == {"ArnEquals": {"ecs:cluster": clusters}, "StringEquals": here}
                case [first, *_] if first.startswith("ecs:"):
                    for resource in statement["Resource"]:
                        assert resource.startswith(f"arn:aws:ecs:{REGION}:{ACCOUNT}:")
                    assert condition == {"ArnEquals": {"ecs:cluster": clusters}}


def test_capacity_tracker_may_not_call_ecs(template):
    allowed = [action for statement in template.statements("CapacityTracker") for action in actions(statement)]
    assert not [action for action in allowed if action.startswith("ecs:")]


def test_task_status_may_only_read(template):
    allowed = {action for statement in template.statements("TaskStatus") for action in actions(statement)}
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert allowed - logs == {"dynamodb:GetItem", "dynamodb:Query"}


def test_every_function_has_an_alarm_on_its_errors(template):
    alarms = template.resources("AWS::CloudWatch::Alarm").values()
    watched = {alarm["Dimensions"][0]["Value"] for alarm in alarms if alarm["MetricName"] == "Errors"}
    assert watched == set(template.functions()) == set(FUNCTIONS)


def test_no_role_may_be_passed_unless_it_is_listed():
    def passing(template: Template) -> list[dict]:
        return [
            statement
            for function in template.functions()
            for statement in template.statements(function)
            if "iam:PassRole" in actions(statement)
        ]

    assert passing(Template()) == []
    role = f"arn:aws:iam::{ACCOUNT}:role/etl-task"
    (statement,) = passing(Template(PassRoleArns=role))
    assert statement["Resource"] == [role]
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


# ---- Settings.


def rust_sources(folder: str) -> list[Path]:
    return [path for path in sorted((ROOT / folder).rglob("*.rs")) if "tests" not in path.stem and "tests" not in path.parts]


def variables_read_by_the_code() -> set[str]:
    return {
        variable
        for folder in ("shared/control/src", "shared/aws/src", "functions")
        for path in rust_sources(folder)
        for variable in re.findall(r'"(BERTH_[A-Z_]+)"', path.read_text())
    }


def test_the_template_sets_the_variables_that_the_code_reads(template):
    set_by_template = {
        variable
        for function in template.functions()
        for variable in template.environment(function)
        if variable.startswith("BERTH_")
    }
    assert set_by_template == variables_read_by_the_code()


def test_the_admitter_knows_when_a_submission_is_received_for_the_last_time(template):
    redrive = template.resources("AWS::SQS::Queue")["SubmissionQueue"]["RedrivePolicy"]
    known = template.environment("Admitter")["BERTH_SUBMISSION_RECEIVES_MAX"]
    assert known == str(redrive["maxReceiveCount"])


def test_records_are_kept_for_as_many_days_as_the_code_accepts(template):
    least = rust_constant("shared/aws/src/config.rs", "TASK_RETENTION_DAYS")
    days = template.source["Parameters"]["TaskRetentionDays"]
    assert (days["Default"], days["MinValue"], days["MaxValue"]) == (least, least, 3650)


def test_the_stand_in_for_ecs_is_used_only_when_it_is_given():
    for function in ("Admitter", "Reconciler"):
        assert "AWS_ENDPOINT_URL_ECS" not in Template().environment(function)
        given = Template(EcsEndpointUrl="http://127.0.0.1:1")
        assert given.environment(function)["AWS_ENDPOINT_URL_ECS"] == "http://127.0.0.1:1"
    assert "AWS_ENDPOINT_URL_ECS" not in Template(EcsEndpointUrl="http://127.0.0.1:1").environment("CapacityTracker")


def test_the_template_offers_the_overrides_that_the_code_knows(template):
    code = (ROOT / "shared/control/src/settings.rs").read_text()
    known = set(re.findall(r'Self::\w+ => "([a-z-]+)"', code))
    pattern = template.source["Parameters"]["AllowedOverrides"]["AllowedPattern"]
    assert set(re.search(r"\((.+)\)", pattern)[1].split("|")) == known


# ---- Permissions beside the code.

FUNCTIONS = {
    "CapacityTracker": "capacity-tracker",
    "Admitter": "admitter",
    "Reconciler": "reconciler",
    "TaskStatus": "task-status",
    "EventPublisher": "event-publisher",
}
# What the Lambda service does in the function's name: no line of code calls it.
BY_LAMBDA = {
    "CapacityTracker": {("sqs:SendMessage", "EventDeadLetterQueue")},
    "Admitter": {
        (action, queue)
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
        for queue in ("SubmissionQueue", "WakeQueue")
    },
    "Reconciler": {("sqs:SendMessage", "EventDeadLetterQueue")},
    "TaskStatus": set(),
    "EventPublisher": {
        ("sqs:SendMessage", "EventDeadLetterQueue"),
        ("dynamodb:DescribeStream", "TasksTable.StreamArn"),
        ("dynamodb:GetRecords", "TasksTable.StreamArn"),
        ("dynamodb:GetShardIterator", "TasksTable.StreamArn"),
        ("dynamodb:ListStreams", "TasksTable.StreamArn"),
    },
}
# RunTask needs them besides its own permission: for the tags, and for the roles of the task definition.
BY_RUN_TASK = {("ecs:TagResource", None), ("iam:PassRole", None)}


def granted(template: Template, function: str) -> set[calls.Call]:
    """The actions that the role allows, each with the resource of this template that it is for."""
    pairs = set()
    for statement in template.statements(function):
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for action in actions(statement):
            service = action.partition(":")[0]
            if service in ("dynamodb", "sqs"):
                pairs |= {(action, resource.removesuffix(".Arn")) for resource in resources}
            elif service != "logs":
                pairs.add((action, None))
    return pairs


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_exactly_what_its_code_calls(function):
    template = Template(PassRoleArns=f"arn:aws:iam::{ACCOUNT}:role/etl-task")
    called = calls.calls_of(FUNCTIONS[function])
    needed = called | BY_LAMBDA[function]
    if ("ecs:RunTask", None) in called:
        needed |= BY_RUN_TASK
    assert granted(template, function) == needed


def test_everything_that_the_adapters_call_is_called_by_some_function():
    called = {action for function in FUNCTIONS.values() for action, _ in calls.calls_of(function)}
    assert called == calls.actions_in_adapters()
