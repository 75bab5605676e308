"""Google Cloud Storage when requests fail, and when others write at the same time."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from realtime.backends import gs
from realtime.backends.gs import GsStore
from realtime.backends.stores import store_of
from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError, RetryLater, Unavailable
from realtime.domain.interfaces import Exists, Gone, Store
from tests.contracts import backends
from tests.fault_proxy import (
    AwsProxy,
    Fault,
    Forward,
    Request,
    Response,
    cut_short,
    on,
    refusal,
    silence,
)

GET, READ, PUT = "storage.objects.get", "storage.objects.read", "storage.objects.insert"
COPY, DELETE, LIST = "storage.objects.rewrite", "storage.objects.delete", "storage.objects.list"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with backends.fake_google() as endpoint:
        yield endpoint


@pytest.fixture
def proxy(endpoint: str) -> Iterator[AwsProxy]:
    with AwsProxy(endpoint) as proxy:
        yield proxy


@pytest.fixture
def others(endpoint: str) -> Store:
    """A bucket, as others write to it."""
    return backends.google(endpoint).store(False)


@pytest.fixture
def ours(others: Store, proxy: AwsProxy, monkeypatch: pytest.MonkeyPatch) -> GsStore:
    """The same bucket through the proxy."""
    monkeypatch.setattr(gs, "_FIRST_WAIT", 0.01)
    client = backends.google_client(proxy.endpoint)
    return GsStore(others.bucket, client, attempts=2, read_timeout=0.5)


def no_bucket(request: Request, forward: Forward) -> Response:
    """As Google says it; the emulator does not say what there is none of."""
    errors = [{"message": "The specified bucket does not exist.", "reason": "notFound"}]
    body = json.dumps({"error": {"code": 404, "message": errors[0]["message"], "errors": errors}})
    return Response(404, {"Content-Type": "application/json"}, body.encode())


def after(action: Callable[[], object]) -> Fault:
    """Do `action`, then answer as Google does: refuse a request whose condition does not hold.

    The emulator deletes and copies whatever the condition is.
    """

    def answer(request: Request, forward: Forward) -> Response:
        action()
        url = urlsplit(request.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        source, _, target = url.path.removeprefix("/download").partition("/rewriteTo")
        conditions = {
            "ifSourceGenerationMatch": source,
            "ifGenerationMatch": f"/storage/v1{target}" if target else source,
        }
        for name, path in conditions.items():
            if name in asked and generation(request, path, forward) != int(asked[name]):
                return refusal(412, "conditionNotMet")(request, forward)
        return forward(request)

    return answer


def generation(request: Request, path: str, forward: Forward) -> int:
    found = forward(replace(request, method="GET", path=path, body=b""))
    return int(json.loads(found.body)["generation"]) if found.status == 200 else 0


def contents(store: Store) -> dict[str, bytes | None]:
    return {found.key: store.get(found.key, 100).body for found in store.list("")}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refusal(503, "backendError"), RetryLater),
        (refusal(500, "internalError"), RetryLater),
        (refusal(429, "rateLimitExceeded"), RetryLater),
        (refusal(403, "forbidden"), RetryLater),
        (refusal(401, "authError"), Unavailable),
        (no_bucket, ConfigurationError),
        (silence, Unavailable),
    ],
    ids=["503", "500", "429", "no-access", "bad-credentials", "no-bucket", "silence"],
)
def test_google__request_fails__raises_what_is_promised(
    ours: GsStore, proxy: AwsProxy, fault: Fault, error: type[Exception]
) -> None:
    proxy.rule = lambda request: fault
    for ask in (lambda: ours.put("key", b"", {}), lambda: ours.get("key", 10)):
        with pytest.raises(error) as caught:
            ask()
        assert caught.type is error


@pytest.mark.parametrize("fault", [refusal(503, "backendError"), cut_short, silence])
@pytest.mark.parametrize("operation", [GET, READ, PUT, COPY, DELETE, LIST])
def test_google__request_fails_once__is_made_again(
    ours: GsStore, proxy: AwsProxy, operation: str, fault: Fault
) -> None:
    proxy.rule = on(operation, fault=fault, times=1)
    ours.put("key", b"content", {"run-id": "r"})
    ours.copy(ours.head("key"), "copy")
    assert ours.get("copy", 100).body == b"content"
    ours.delete(ours.head("key"))
    assert contents(ours) == {"copy": b"content"}
    assert proxy.requests[operation] > 1


@pytest.mark.parametrize("overwrites", [True, False])
def test_google__answer_to_a_put_is_lost__tried_again(
    ours: GsStore, proxy: AwsProxy, overwrites: bool
) -> None:
    def lost(request: Request, forward: Forward) -> Response:
        forward(request)
        return refusal(503, "backendError")(request, forward)

    proxy.rule = on(PUT, fault=lost, times=1)
    if overwrites:
        ours.put("key", b"content", {})
    else:
        with pytest.raises(Exists):
            ours.put("key", b"content", {}, overwrite=False)
    assert contents(ours) == {"key": b"content"}


def test_google__object_is_overwritten_while_it_is_read__the_newer_one_is_read(
    others: Store, ours: GsStore, proxy: AwsProxy
) -> None:
    others.put("key", b"old", {"run-id": "old"})
    newer = after(lambda: others.put("key", b"newer", {"run-id": "newer"}))
    proxy.rule = on(READ, fault=newer, times=1)
    stored = ours.get("key", 100)
    assert (stored.body, stored.object) == (b"newer", others.head("key"))


def test_google__object_is_deleted_while_it_is_read__is_gone(
    others: Store, ours: GsStore, proxy: AwsProxy
) -> None:
    others.put("key", b"old", {})
    old = others.head("key")
    proxy.rule = on(READ, fault=after(lambda: others.delete(old)))
    with pytest.raises(Gone):
        ours.get("key", 100)


def test_google__other_upload_comes_between_look_and_delete__is_left_alone(
    others: Store, ours: GsStore, proxy: AwsProxy
) -> None:
    others.put("key", b"old", {})
    old = ours.head("key")
    proxy.rule = on(DELETE, fault=after(lambda: others.put("key", b"newer", {})))
    assert not ours.delete(old)
    assert contents(others) == {"key": b"newer"}


def test_google__other_upload_comes_between_look_and_copy__is_not_copied(
    others: Store, ours: GsStore, proxy: AwsProxy
) -> None:
    others.put("key", b"old", {})
    old = ours.head("key")
    proxy.rule = on(COPY, fault=after(lambda: others.put("key", b"newer", {})))
    with pytest.raises(Gone):
        ours.copy(old, "copy")
    assert contents(others) == {"key": b"newer"}


def test_google__upload_comes_to_the_target_of_a_copy__is_overwritten_only_if_asked_for(
    others: Store, ours: GsStore, proxy: AwsProxy
) -> None:
    others.put("key", b"old", {})
    proxy.rule = on(COPY, fault=after(lambda: others.put("copy", b"newer", {})))
    with pytest.raises(Gone):
        ours.copy(ours.head("key"), "copy", overwrite=False)
    assert contents(others) == {"copy": b"newer", "key": b"old"}
    ours.copy(ours.head("key"), "copy")
    assert contents(others) == {"copy": b"old", "key": b"old"}


def test_google__emulator_ignores_conditions__overwritten_upload_left_alone_all_the_same(
    others: Store, ours: GsStore
) -> None:
    others.put("key", b"same", {})
    old = ours.head("key")
    others.put("key", b"same", {})
    with pytest.raises(Gone):
        ours.copy(old, "copy")
    assert not ours.delete(old)
    assert ours.delete_all([old]) == {old}
    assert contents(others) == {"key": b"same"}


def test_google__some_of_many_are_refused__says_which(
    others: Store, ours: GsStore, proxy: AwsProxy
) -> None:
    for key in ("refused", "other"):
        others.put(key, b"content", {})
    refused, other = ours.head("refused"), ours.head("other")
    proxy.rule = on(DELETE, fault=refusal(403, "forbidden"), path="refused")
    assert ours.delete_all([refused, other]) == {other}
    assert contents(others) == {"refused": b"content"}


def test_google__more_objects_than_a_page__all_listed_or_an_error(
    others: Store, ours: GsStore, proxy: AwsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs, "_PAGE", 2)
    keys = [f"wy/{number}" for number in range(5)]
    for key in keys:
        others.put(key, b"", {})
    assert [found.key for found in ours.list("")] == keys
    assert proxy.requests[LIST] == 3
    proxy.rule = on(LIST, fault=refusal(503, "backendError"), path="pageToken")
    with pytest.raises(RetryLater):
        list(ours.list(""))


def test_google__keys_of_any_kind__reach_google_as_they_are(ours: GsStore, proxy: AwsProxy) -> None:
    asked: list[str] = []
    proxy.rule = lambda request: (
        asked.append(unquote(request.path)) if request.operation == GET else None
    )
    for key in ("wy/bill é.json", "no//name", "a?b#c"):
        ours.put(key, b"content", {})
        assert ours.get(key, 100).body == b"content"
        assert f"/o/{key}?" in asked[-1]


def test_google__no_credentials__is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    with pytest.raises(ConfigurationError, match="no credentials for Google"):
        store_of(Bucket("gs://bucket")).head("key")


@pytest.mark.parametrize("call", ["put", "list"])
def test_google__no_such_bucket__is_a_wrong_setting(endpoint: str, call: str) -> None:
    store = GsStore("gs://there-is-none", backends.google_client(endpoint))
    calls: dict[str, Callable[[], Any]] = {
        "put": lambda: store.put("key", b"", {}),
        "list": lambda: list(store.list("")),
    }
    with pytest.raises(ConfigurationError, match="there is no bucket gs://there-is-none"):
        calls[call]()


def test_google__emulator_named_by_the_environment__is_used(
    endpoint: str, others: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
    store_of(Bucket(others.bucket, "pre/")).put("pre/key", b"content", {})
    assert contents(others) == {"pre/key": b"content"}
