"""deploy/aws/template.yaml: what each choice of its parameters deploys is valid."""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, combinations, product
from pathlib import Path
from random import Random

import pytest

from realtime.domain.config import load
from realtime.models import Outcome
from realtime.monitoring.metrics import cloudwatch
from realtime.monitoring.report import Report
from tests import cloudformation
from tests.scrapes import WYOMING
from tests.support import ROOT, not_installed

CHECK_TOOLS = ROOT / ".venv-check" / "bin"

ABSENT: dict[str, str] = {}
SUBNETS = {"SubnetIds": "subnet-00000001,subnet-00000002"}
VPC = {"VpcId": "vpc-00000001"}
GROUPS = {"SecurityGroupIds": "sg-00000002"}
ENDPOINTS = {"CreateEndpoints": "true", "VpcCidr": "10.0.0.0/16"}
# The function outside any VPC, in groups of others, and in one of the stack with whatever the VPC
# lacks: rules of the database, a way to S3, a way to the services.
NETWORKS = [
    ABSENT,
    {**SUBNETS, **GROUPS},
    *(
        {**SUBNETS, **VPC, **database, **to_s3, **to_services}
        for database, to_s3, to_services in product(
            [ABSENT, {"DatabaseSecurityGroupId": "sg-00000001"}],
            [ABSENT, {"RouteTableIds": "rtb-00000001"}],
            [ABSENT, ENDPOINTS, {"EndpointSecurityGroupId": "sg-00000003"}],
        )
    ),
]
PARAMETER = {"DatabaseUrlParameter": "/db"}
SECRET = {"DatabaseUrlSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:db"}
SECRETS = [
    {**secret, **key, **url}
    for secret, key, url in product(
        [PARAMETER, SECRET],
        [ABSENT, {"SecretKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1"}],
        [ABSENT, {"DatabaseUrl": "postgres://openstates@db.example.org/openstates"}],
    )
]
EMAIL = {"AlarmEmail": "on-call@example.org"}
TOPIC = {"AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms"}
NOTICES = {"NoticeOfFailures": "true"}
SIGNED = {"ChangesSecret": "whsec_MfKQ9r8GKYqr"}
RECEIVERS = [
    {"ChangesUrl": "https://example.org/changes", **SIGNED},
    {"ChangesQueueName": "changes.fifo", "ChangesFilter": "wy bill"},
    {"ChangesTopicArn": "arn:aws:sns:us-east-1:123456789012:changes"},
]
# What changes resources, each with its choices.
CHOICES: list[list[dict[str, str]]] = [
    NETWORKS,
    SECRETS,
    [{"Trigger": "schedule"}, {"Trigger": "queue"}],
    [{"ScheduleState": "ENABLED"}, {"ScheduleState": "DISABLED"}],
    [{"NotifyQueue": "false"}, {"NotifyQueue": "true"}],
    [ABSENT, {"BucketName": "mine"}, {"BucketName": "mine", "BucketVersioned": "false"}],
    [ABSENT, {"QueueName": "mine"}, {"QueueName": "mine", "DeadLetterQueueName": "dead"}],
    [ABSENT, EMAIL, TOPIC, {**EMAIL, **NOTICES}, {**TOPIC, **NOTICES}],
    [ABSENT, *RECEIVERS],
]


def is_allowed(given: Mapping[str, str]) -> bool:
    return not ("NoticeOfFailures" in given and "BucketName" in given)


def values(given: Mapping[str, str], choices: Iterable[Mapping[str, str]]) -> tuple[object, ...]:
    """The parameters of these choices, each with its value."""
    names = sorted({name for one in choices for name in one})
    return tuple((name, given.get(name, "")) for name in names)


def covered(given: Mapping[str, str]) -> set[object]:
    """The network with the kind of secret, the secret, every two other choices, and every two
    parameters."""
    network, secret, *others = (values(given, choices) for choices in CHOICES)
    kind = "DatabaseUrlSecretArn" in given
    of_all = values(given, chain(*CHOICES))
    return {(network, kind), secret, *combinations(others, 2), *combinations(of_all, 2)}


def combined_choices() -> Iterator[dict[str, str]]:
    """Few combinations that hold every network with each kind of secret, every secret, every two of
    the other choices, and every two values that two parameters may have together. (There are some
    hundred thousand.)"""
    random = Random(0)
    drawn = ({k: v for c in CHOICES for k, v in random.choice(c).items()} for _ in range(2000))
    every = [(given, covered(given)) for given in drawn if is_allowed(given)]
    missing = set().union(*(found for _, found in every))
    networks = {values(one, NETWORKS) for one in NETWORKS}
    assert {*product(networks, [False, True])} <= missing
    assert {values(one, SECRETS) for one in SECRETS} <= missing
    while missing:
        best, found = max(every, key=lambda one: len(one[1] & missing))
        missing -= found
        yield best


# Runs sam in one process, which takes seconds to start.
VALIDATE = """
import sys
from samcli.cli.main import cli
for path in sys.argv[1:]:
    cli(["validate", "--lint", "--region", "us-east-1", "--template-file", path],
        standalone_mode=False)
"""


@pytest.mark.deploy
@pytest.mark.skipif(
    not CHECK_TOOLS.is_dir(), reason=not_installed("cfn-lint and sam", "make tools")
)
def test_template__choices_together__valid(tmp_path: Path) -> None:
    paths = []
    for number, given in enumerate(combined_choices()):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(cloudformation.as_deployed(given), indent=1))
        paths.append(str(path))
    environment = {
        "SAM_CLI_TELEMETRY": "0",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(tmp_path),
    }
    commands = (
        # W2001: with the conditions decided, not every parameter is used.
        ["cfn-lint", "--ignore-checks", "W2001", "--template", *paths],
        ["python", "-c", VALIDATE, *paths],
    )
    # At once: each takes most of a second a template.
    running = [
        subprocess.Popen(
            [str(CHECK_TOOLS / command[0]), *command[1:]],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], [one[-3000:] for one in said]


# What CloudFormation says, and of which parameters.
REFUSED = {
    "Set DatabaseUrlParameter or DatabaseUrlSecretArn.": {"DatabaseUrlParameter": ""},
    "Set only one of DatabaseUrlParameter and DatabaseUrlSecretArn.": SECRET,
    "VpcId needs SubnetIds.": VPC,
    "SecurityGroupIds needs SubnetIds.": GROUPS,
    "SubnetIds needs VpcId, or SecurityGroupIds.": SUBNETS,
    "Set only one of VpcId and SecurityGroupIds.": {**SUBNETS, **VPC, **GROUPS},
    "DatabaseSecurityGroupId needs VpcId.": {"DatabaseSecurityGroupId": "sg-00000001"},
    "EndpointSecurityGroupId needs VpcId.": {"EndpointSecurityGroupId": "sg-00000003"},
    "CreateEndpoints needs VpcId.": ENDPOINTS,
    "RouteTableIds needs VpcId.": {"RouteTableIds": "rtb-00000001"},
    "CreateEndpoints needs VpcCidr.": {**SUBNETS, **VPC, "CreateEndpoints": "true"},
    "DeadLetterQueueName needs QueueName.": {"DeadLetterQueueName": "dead"},
    "ChangesSecret needs ChangesUrl.": SIGNED,
    "ChangesFilter needs ChangesUrl, ChangesQueueName or ChangesTopicArn.": {"ChangesFilter": "wy"},
    "Set only one of AlarmEmail and AlarmTopicArn.": {**EMAIL, **TOPIC},
    "NoticeOfFailures is set up in the bucket of this stack, not in BucketName.": {
        **EMAIL,
        **NOTICES,
        "BucketName": "mine",
    },
    "NoticeOfFailures needs AlarmEmail or AlarmTopicArn.": NOTICES,
}


@pytest.mark.parametrize("reason", REFUSED)
def test_rules__parameters_that_do_not_fit__refused_with_the_reason(reason: str) -> None:
    given = {**PARAMETER, **REFUSED[reason]}
    assert cloudformation.Deployed(given, {}).refusals() == [reason]


def test_rules__each_one__refuses_something_and_no_choice() -> None:
    rules = cloudformation.load()["Rules"].values()
    reasons = [one["AssertDescription"] for rule in rules for one in rule["Assertions"]]
    assert sorted(reasons) == sorted(REFUSED)
    for given in combined_choices():
        assert cloudformation.Deployed(given, {}).refusals() == []


def test_endpoints__made_by_the_stack__admit_the_whole_vpc() -> None:
    # Their names are private ones of the VPC: whoever asks SQS there comes to them.
    names = {"FunctionGroup": "sg-00000009"}
    given = {**PARAMETER, **SUBNETS, **VPC, **ENDPOINTS}
    group = cloudformation.Deployed(given, names).properties("EndpointGroup")
    admitted = {
        rule.get("CidrIp") or rule["SourceSecurityGroupId"]: (rule["FromPort"], rule["ToPort"])
        for rule in group["SecurityGroupIngress"]
    }
    assert admitted == {"10.0.0.0/16": (443, 443), "sg-00000009": (443, 443)}


def test_function__receivers_named__its_settings_name_them_too() -> None:
    names = {
        "AWS::Region": "us-east-1",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::AccountId": "123456789012",
        "Bucket": "bucket",
        "Queue": "https://sqs.us-east-1.amazonaws.com/123456789012/queue",
    }
    given = {"ChangesFilter": "wy bill"}
    assert load(cloudformation.Deployed(given, names).environment()).receivers == ()
    for one in RECEIVERS:
        given |= one
    found = load(cloudformation.Deployed(given, names).environment()).receivers
    topic = "arn:aws:sns:us-east-1:123456789012:changes"
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/changes.fifo"
    assert {(one.name, one.kind, one.target) for one in found} == {
        ("default", "webhook", "https://example.org/changes"),
        ("queue", "sqs", queue),
        ("topic", "sns", topic),
    }
    assert {one.wanted.types for one in found} == {("bill",)}
    assert [bool(one.secrets) for one in found] == [True, False, False]


def test_alarms__of_our_own_metrics__name_what_a_run_emits() -> None:
    report = Report(lags=[1.0])
    report.count("bill", Outcome.FAILED, jurisdiction_id=WYOMING.jurisdiction_id)
    whole = json.loads(next(cloudwatch.lines(report, datetime(2031, 1, 1, tzinfo=UTC))))
    [directive] = whole["_aws"]["CloudWatchMetrics"]
    emitted = {metric["Name"] for metric in directive["Metrics"]}
    ours = [
        alarm["Properties"]
        for alarm in cloudformation.load()["Resources"].values()
        if alarm["Type"] == "AWS::CloudWatch::Alarm"
        and alarm["Properties"].get("Namespace") == directive["Namespace"]
    ]
    assert {one["MetricName"] for one in ours} == {"failed", "lag_seconds", "paused_jurisdictions"}
    assert {one["MetricName"] for one in ours} <= emitted
    assert directive["Dimensions"] == [[]]
    assert not any("Dimensions" in one for one in ours)
