"""obstore makes its requests where botocore makes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from realtime.backends import clients, s3
from realtime.backends.s3 import S3Store
from tests.fault_proxy import AwsProxy, Fault, Request, Response

KEYS = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_DEFAULT_REGION": "eu-west-1",
    # For another process; ours are told where to go.
    "AWS_ENDPOINT_URL_STS": "http://sts.example.com",
}
PROFILE = """
[profile scraper]
region = eu-central-2
aws_access_key_id = profile-id
aws_secret_access_key = secret
services = local
s3 =
    addressing_style = virtual

[services local]
s3 =
    endpoint_url = http://s3.example.com:8333
"""


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsProxy]:
    """The proxy of all HTTP requests; it answers them itself."""
    monkeypatch.setattr(s3, "WORTHWHILE", 1)
    (tmp_path / "config").write_text(PROFILE)
    with AwsProxy("http://nobody") as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.endpoint)
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        # The session has read the configuration of other tests, and must not keep that of these.
        clients._session.cache_clear()
        yield proxy
        clients._session.cache_clear()


def setenv(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def client() -> Any:
    return botocore.session.get_session().create_client(
        "s3", use_ssl=False, config=Config(user_agent=clients.USER_AGENT)
    )


@pytest.mark.parametrize(
    ("environment", "bucket", "url", "scope"),
    [
        (KEYS, "bucket", "http://bucket.s3.eu-west-1.amazonaws.com/", "id/eu-west-1"),
        (KEYS, "a.bucket", "http://s3.eu-west-1.amazonaws.com/a.bucket/", "id/eu-west-1"),
        (
            KEYS | {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "bucket",
            "http://bucket.s3.dualstack.eu-west-1.amazonaws.com/",
            "id/eu-west-1",
        ),
        (
            KEYS | {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_DEFAULT_REGION": "us-west-2"},
            "bucket",
            "http://bucket.s3-fips.us-west-2.amazonaws.com/",
            "id/us-west-2",
        ),
        (
            KEYS | {"AWS_ENDPOINT_URL": "http://10.1.2.3:9000"},
            "bucket",
            "http://10.1.2.3:9000/bucket/",
            "id/eu-west-1",
        ),
        (
            KEYS
            | {"AWS_ENDPOINT_URL_S3": "http://x", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "bucket",
            "http://bucket.s3.eu-west-1.amazonaws.com/",
            "id/eu-west-1",
        ),
        (
            {"AWS_PROFILE": "scraper"},
            "bucket",
            "http://bucket.s3.example.com:8333/",
            "profile-id/eu-central-2",
        ),
    ],
    ids=["region", "dots", "dual-stack", "fips", "endpoint", "ignored-endpoint", "profile"],
)
def test_obstore__botocore_is_configured__requests_go_to_the_same_place(
    proxy: AwsProxy,
    environment: dict[str, str],
    bucket: str,
    url: str,
    scope: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setenv(monkeypatch, environment)
    made: list[tuple[str, str, bool]] = []

    def answer(request: Request, forward: object) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        signed_for = headers["authorization"].partition("Credential=")[2].split("/s3/")[0]
        key_id, _, region = signed_for.split("/")
        assert headers.get("x-amz-security-token") == environment.get("AWS_SESSION_TOKEN")
        made.append((request.path, f"{key_id}/{region}", "amz-sdk-invocation-id" in headers))
        found = {"ETag": '"e"', "Last-Modified": "Thu, 26 Nov 2026 19:18:12 GMT"}
        return Response(200, {**found, "Content-Length": "5"}, b"")

    def rule(request: Request) -> Fault:
        return answer

    proxy.rule = rule
    store = S3Store(bucket, client())
    assert store.head("wy/bill_1.json") == store.head("wy/bill_1.json")
    place = (f"{url}wy/bill_1.json", scope)
    assert made == [(*place, True), (*place, False)]


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"ALL_PROXY": "http://127.0.0.1:9"},
        {"http_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"},
    ],
    ids=["all-proxy", "no-proxy"],
)
def test_obstore__proxy_that_botocore_does_not_use__is_not_used_either(
    proxy: AwsProxy, elsewhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name)
    setenv(monkeypatch, KEYS | elsewhere | {"AWS_ENDPOINT_URL": proxy.endpoint})
    used: list[bool] = []
    found = {"ETag": '"e"', "Last-Modified": "Thu, 26 Nov 2026 19:18:12 GMT", "Content-Length": "5"}

    def answer(request: Request, forward: object) -> Response:
        used.append("amz-sdk-invocation-id" not in request.headers)
        return Response(200, found, b"")

    def rule(request: Request) -> Fault:
        return answer

    proxy.rule = rule
    store = S3Store("bucket", client())
    for _ in range(2):
        store.head("key")
    assert used == [False, True]
