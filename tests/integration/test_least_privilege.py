"""What the commands ask of AWS, against what the template lets them: neither more nor less."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from deploy.aws import package
from realtime.backends.postgres import locks
from realtime.devstack import DevStack
from tests import scrapes
from tests.cloudformation import Deployed
from tests.scrapes import Mail
from tests.support import ROOT, Aws, run_manage

PREFIX = "realtime/"
ARNS = {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "123456789012"}
QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:queue"
DEAD_LETTERS_ARN = f"{QUEUE_ARN}-dead"
# Who is told of changes.
TOLD_QUEUE, TOLD_TOPIC = "changes.fifo", "arn:aws:sns:us-east-1:123456789012:changes"
TOLD_QUEUE_ARN = f"arn:aws:sqs:us-east-1:123456789012:{TOLD_QUEUE}"
PARAMETER = "/openstates-realtime/database"
BUCKET_ACTIONS = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
}
# What KMS does on behalf of what it decrypts for.
NOT_OURS = {"kms:Decrypt"}
# A monitor does without, where its role has only what imports need.
NOT_NEEDED = {("cloudwatch:GetMetricStatistics", "*")}

# Each command in each of three buckets is a process.
pytestmark = pytest.mark.thorough

Permission = tuple[str, str]


def needed(call: dict[str, Any], secret_arn: str) -> Iterator[Permission]:
    """The permissions, action and resource, that IAM asks for before it lets a call through."""
    service, operation = call["Service"], call["Operation"]
    if service == "sqs":
        dead = call["QueueUrl"].endswith("-dead")
        told = call["QueueUrl"].endswith(".fifo")
        arn = DEAD_LETTERS_ARN if dead else TOLD_QUEUE_ARN if told else QUEUE_ARN
        yield f"sqs:{operation.removesuffix('Batch')}", arn
    elif service == "sns":
        yield f"sns:{operation.removesuffix('Batch')}", TOLD_TOPIC
    elif service == "cloudwatch":
        yield f"cloudwatch:{operation}", "*"
    elif service == "ssm":
        yield f"ssm:{operation}", f"arn:aws:ssm:us-east-1:123456789012:parameter{call['Name']}"
    elif service == "secretsmanager":
        yield f"secretsmanager:{operation}", secret_arn
    elif operation in BUCKET_ACTIONS:
        yield BUCKET_ACTIONS[operation], f"arn:aws:s3:::{call['Bucket']}"
    else:
        yield from _object(call)


def _object(call: dict[str, Any]) -> Iterator[Permission]:
    bucket = f"arn:aws:s3:::{call['Bucket']}"
    operation, version = call["Operation"], "Version" if call.get("VersionId") else ""
    if operation in ("GetObject", "HeadObject"):
        yield f"s3:GetObject{version}", f"{bucket}/{call['Key']}"
    elif operation == "CopyObject":
        source = call["CopySource"]
        of_version = "Version" if source.get("VersionId") else ""
        yield f"s3:GetObject{of_version}", f"{bucket}/{source['Key']}"
        yield "s3:PutObject", f"{bucket}/{call['Key']}"
    elif operation == "DeleteObjects":
        for one in call["Delete"]["Objects"]:
            of_version = "Version" if one.get("VersionId") else ""
            yield f"s3:DeleteObject{of_version}", f"{bucket}/{one['Key']}"
    else:
        yield f"s3:{operation}{version}", f"{bucket}/{call['Key']}"
    if call["Missing"]:
        # Without it S3 answers 403 for what is not there.
        yield "s3:ListBucket", bucket


class Recorder:
    """Runs commands in processes of their own, and says which permissions they needed."""

    def __init__(self, environment: dict[str, str], folder: Path, secret_arn: str) -> None:
        self._environment = environment
        self._folder = folder
        self._secret_arn = secret_arn

    def __call__(self, *arguments: str, **variables: str) -> set[Permission]:
        record = self._folder / f"{arguments[0]}-{len(list(self._folder.iterdir()))}.jsonl"
        record.touch()
        environment = {
            **self._environment,
            **variables,
            "PYTHONPATH": str(ROOT / "tests" / "recorder"),
            "RECORD_AWS_CALLS": str(record),
        }
        run_manage(*arguments, env=environment)
        calls = [json.loads(line) for line in record.read_text().splitlines()]
        return {one for call in calls for one in needed(call, self._secret_arn)}


@contextmanager
def busy(jurisdiction_id: str, url: str) -> Iterator[None]:
    """Another worker imports this jurisdiction, so that what comes of it is released."""
    other = psycopg2.connect(url)
    number = locks.number(jurisdiction_id)
    with other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [locks.JURISDICTIONS, number])
        yield
    other.close()


def keep_versions(aws: Aws, status: Any) -> None:
    aws.s3.put_bucket_versioning(Bucket=aws.bucket, VersioningConfiguration={"Status": status})


@pytest.fixture(params=["versioned", "unversioned", "versioned-since"])
def bucket(request: Any, aws: Aws) -> dict[str, str]:
    """The template's parameters for a bucket: its own is versioned; one that exists is not, or
    becomes so once there are files."""
    if request.param == "versioned":
        keep_versions(aws, "Enabled")
        return {}
    is_versioned = "true" if request.param == "versioned-since" else "false"
    names = {"QueueName": "queue", "DeadLetterQueueName": "queue-dead"}
    return {"BucketName": aws.bucket, "BucketVersioned": is_versioned, **names}


@pytest.fixture
def mail(bucket: dict[str, str], aws: Aws, database: str) -> Mail:
    return Mail(aws, database)


def compare(policy: list[dict[str, Any]], used: set[Permission]) -> None:
    granted = [
        (action, statement["Resource"])
        for statement in policy
        for action in ([statement["Action"]] if isinstance(statement["Action"], str)
                       else statement["Action"])
    ]  # fmt: skip
    missing = {
        (action, resource)
        for action, resource in used
        if not any(action == a and fnmatchcase(resource, r) for a, r in granted)
    }
    assert missing == set(), "the template lets the commands do too little"
    unused = {
        action
        for action, resource in granted
        if not any(action == a and fnmatchcase(r, resource) for a, r in used)
    }
    assert unused - NOT_OURS == set(), "the template lets the commands do too much"


def test_policies__what_commands_call__is_what_they_may(
    stack: DevStack, mail: Mail, bucket: dict[str, str], tmp_path: Path
) -> None:
    url = mail.config.database_url
    stack.aws.client("ssm").put_parameter(
        Name=PARAMETER, Value=url, Type="SecureString", Overwrite=True
    )
    secret_arn = stack.aws.client("secretsmanager").create_secret(
        Name=f"{mail.aws.bucket}-database", SecretString=url
    )["ARN"]
    environment = {
        **mail.aws.environment,
        "S3_REALTIME_BASE": f"s3://{mail.aws.bucket}/{PREFIX}",
    }
    (tmp_path / "calls").mkdir()
    record = Recorder(environment, tmp_path / "calls", secret_arn)

    scraped = tmp_path / "scraped"
    scraped.mkdir()
    bill = scrapes.bill()
    for number, data in enumerate([scrapes.jurisdiction(), bill, scrapes.vote_event(bill)]):
        name = Path(mail.key(data)).name if number else "jurisdiction_wy.json"
        (scraped / name).write_text(json.dumps(data))
    produced = record("publish_realtime", str(scraped), "--jurisdiction", "wy", "--run")
    since = bucket.get("BucketVersioned") == "true"
    if since:
        keep_versions(mail.aws, "Enabled")
    mail.send(mail.message(f"{PREFIX}wy/bill_00000000-0000-11f1-8a13-000000000001.json"))
    broken = mail.put(b"{", f"{PREFIX}wy/bill_00000000-0000-11f1-8a13-000000000002.json")
    mail.send(mail.message(broken))

    # What an import archives itself needs the same permissions, but does not read the version.
    told = stack.aws.client("sqs").create_queue(
        QueueName=f"{mail.aws.bucket}.fifo", Attributes={"FifoQueue": "true"}
    )["QueueUrl"]
    topic = stack.aws.client("sns").create_topic(Name=mail.aws.bucket)["TopicArn"]
    later = {
        "DATABASE_URL_PARAMETER": PARAMETER,
        "REALTIME_ARCHIVE": "later",
        "REALTIME_CHANGES_URL_QUEUE": f"sqs:{told}",
        "REALTIME_CHANGES_URL_TOPIC": f"sns:{topic}",
    }
    consumed = record("import_realtime", "--until-empty", **later)
    consumed |= record("archive_realtime", DATABASE_URL_SECRET=secret_arn)
    assert mail.keys(f"{PREFIX}wy/") == []
    with busy(scrapes.WYOMING.jurisdiction_id, url):
        busy_key = mail.put(scrapes.bill("HB 2"), f"{PREFIX}wy/bill_{uuid.uuid1()}.json")
        mail.send(mail.message(busy_key))
        consumed |= record("import_realtime", "--time-limit", "2", DATABASE_URL=url)
    # What else the timers, the crontab and the container start.
    for name, *arguments in [
        ("status_realtime", "--max-age", "30"),
        ("import_realtime", "--sweep"),
        ("finalize_realtime",),
    ]:
        consumed |= record(name, *arguments, DATABASE_URL=url)
    operated = record("check", "--tag", "realtime", DATABASE_URL_SECRET=secret_arn)
    operated |= record("status_realtime", DATABASE_URL=url)
    dead = mail.aws.sqs.create_queue(QueueName=f"{mail.aws.bucket}-dead")["QueueUrl"]
    with busy(scrapes.WYOMING.jurisdiction_id, url):
        keys = [f"{PREFIX}wy/bill_{uuid.uuid1()}.json" for _ in range(3)]
        mail.put(scrapes.bill("HB 3"), keys[0])
        if since:
            keep_versions(mail.aws, "Suspended")
        mail.put(b"{", keys[2])
        if since:
            keep_versions(mail.aws, "Enabled")
        for key in keys:
            mail.aws.sqs.send_message(QueueUrl=dead, MessageBody=json.dumps(mail.message(key)))
        operated |= record(
            "import_realtime", "--time-limit", "5", DATABASE_URL=url, SQS_QUEUE_URL=dead
        )
    operated |= record("retry_realtime", DATABASE_URL_PARAMETER=PARAMETER)

    names = {
        **ARNS,
        "Bucket": mail.aws.bucket,
        "Queue.Arn": QUEUE_ARN,
        "DeadLetterQueue.Arn": DEAD_LETTERS_ARN,
    }
    deployed = Deployed(
        {
            "Prefix": PREFIX,
            "DatabaseUrlParameter": PARAMETER,
            "DatabaseUrlSecretArn": secret_arn,
            "SecretKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1",
            "Trigger": "queue",
            "ChangesQueueName": TOLD_QUEUE,
            "ChangesTopicArn": TOLD_TOPIC,
            **bucket,
        },
        names,
    )
    compare(deployed.policy("ProducerPolicy"), produced)
    compare(deployed.policy("ConsumerPolicy"), consumed - NOT_NEEDED)
    compare(deployed.policy("OperatorPolicy"), operated)
    called = {action.partition(":")[0] for action, _ in produced | consumed | operated}
    assert called <= package._SERVICES, "function and container have no definition of it"


def test_policies__of_roles__name_every_action_and_resource() -> None:
    names = {
        **ARNS,
        "Bucket": "bucket",
        **{
            f"{resource}.Arn": f"arn:{resource}"
            for resource in ("Queue", "DeadLetterQueue", "LogGroup", "Function")
        },
    }
    deployed = Deployed({"DatabaseUrlParameter": PARAMETER, "Trigger": "queue"}, names)
    # Beside what the role of a host has too.
    (own,) = deployed.policy("FunctionRole")
    assert own["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    for policy in ("ProducerPolicy", "ConsumerPolicy", "FunctionRole", "OperatorPolicy"):
        for statement in deployed.policy(policy):
            assert statement["Effect"] == "Allow"
            assert "*" not in json.dumps(statement["Action"])
            if statement["Action"] == "cloudwatch:GetMetricStatistics":
                # It can be granted for all metrics only.
                assert statement["Resource"] == "*"
                continue
            # Objects have no names before they are there; their bucket has.
            assert statement["Resource"].removesuffix("/*").count("*") == 0


def test_function__in_a_vpc__its_code_may_do_nothing_to_the_network() -> None:
    names = {**ARNS, "Function.Arn": "arn:function"}
    assert not Deployed({}, names).has("NetworkIsLambdasAlone")
    inside = Deployed({"SubnetIds": "subnet-1"}, names)
    assert inside.has("NetworkIsLambdasAlone")
    (statement,) = inside.policy("NetworkIsLambdasAlone")
    assert statement["Effect"] == "Deny"
    # What AWSLambdaENIManagementAccess allows.
    assert {
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    } <= set(statement["Action"])
    assert statement["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": "arn:function"}}
