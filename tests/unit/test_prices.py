"""What `make bench` says that a million files cost."""

import pytest

from bench.prices import Deployment, Measured, Prices, a_million

PRICES = Prices(
    s3_put_copy_list=1.0,
    s3_get_and_others=0.1,
    s3_standard=2.0,
    sqs=1_000.0,
    lambda_gb_second=0.01,
    lambda_requests=1_000_000.0,
)
# A hundred starts a month.
DEPLOYMENT = Deployment(every=26_280.0, gigabytes=2.0, batch=500_000, poll_seconds=2_628_000.0)
# A thousandth of a million.
MEASURED = Measured(
    files=1_000,
    bytes=1_000_000,
    published={"PutObject": 1, "SendMessageBatch": 1},
    imported={
        "ReceiveMessage": 2,
        "GetObject": 10,
        "DeleteMessageBatch": 1,
        "CopyObject": 1,
        "HeadObject": 10,
        "DeleteObject": 5,
    },
    seconds=10.0,
    idle={"ReceiveMessage": 10},
    idle_seconds=5.0,
)


@pytest.mark.parametrize(
    ("way", "dollars"),
    [
        # 2,000 puts and copies, 20,000 other requests to S3; 4,000 to SQS.
        ("cron", {"S3": 4.0, "SQS": 4.0, "Lambda": 0.0, "an idle month": 1.0}),
        # 20,000 GB-seconds; 10,000 seconds are less than one start.
        ("schedule", {"S3": 4.0, "SQS": 4.0, "Lambda": 200.38, "an idle month": 111.0}),
        # Received and deleted by ten, beside 1,000 sends; two invocations; five polls a month.
        ("event source", {"S3": 4.0, "SQS": 201.0, "Lambda": 202.0, "an idle month": 0.005}),
    ],
)
def test_a_million__each_way__dollars_of_requests_and_seconds(
    way: str, dollars: dict[str, float]
) -> None:
    found = a_million(MEASURED, PRICES, DEPLOYMENT)
    assert found["ways"][way] == pytest.approx(dollars, rel=1e-3)
    assert found["a month in S3"] == pytest.approx(2.0)
