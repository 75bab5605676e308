"""The contracts of `realtime.domain.interfaces`, for each implementation there is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from _pytest.fixtures import SubRequest

from realtime.backends import s3
from realtime.backends.s3 import S3Store
from realtime.backends.sqs import SqsQueue
from realtime.devstack import DevStack
from realtime.domain.errors import ConfigurationError, RetryLater, Unavailable
from realtime.domain.interfaces import Exists, Gone, Queue, Store, StoredFile
from tests.contracts import backends
from tests.contracts.backends import Backend
from tests.fault_proxy import (
    AwsProxy,
    Fault,
    Request,
    after,
    after_each,
    cut_short,
    named_null,
    on,
    partly,
    refusal,
    silence,
    unconditionally,
    without,
)
from tests.support import not_installed, wait_until

BACKENDS = ("memory", "folder", "google", "moto", "ministack")
# A header of botocore's requests.
BY_BOTOCORE = "amz-sdk-invocation-id"


@pytest.fixture(scope="module")
def ministack_endpoint() -> Iterator[str]:
    if not backends.MINISTACK.exists():
        pytest.skip(not_installed("ministack", "make tools"))
    with backends.ministack() as (endpoint, _):
        yield endpoint


@pytest.fixture(scope="module")
def google_endpoint() -> Iterator[str]:
    with backends.fake_google() as endpoint:
        yield endpoint


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: SubRequest) -> Backend:
    if request.param == "memory":
        return backends.memory()
    if request.param == "folder":
        return backends.folder(request.getfixturevalue("tmp_path_factory"))
    if request.param == "google":
        return backends.google(request.getfixturevalue("google_endpoint"))
    if request.param == "moto":
        stack: DevStack = request.getfixturevalue("stack")
        return backends.moto(stack)
    return backends.emulator(request.getfixturevalue("ministack_endpoint"))


@pytest.fixture(params=[True, False], ids=["versioned", "plain"])
def store(request: SubRequest, backend: Backend) -> Store:
    return backend.store(request.param)


@pytest.fixture
def queue(backend: Backend) -> Queue:
    return backend.queue()


@pytest.fixture(autouse=True)
def _obstore_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first request, S3Store makes all it can through obstore."""
    monkeypatch.setattr(s3, "WORTHWHILE", 1)


def keys_of(store: Store, prefix: str = "") -> list[str]:
    return [found.key for found in store.list(prefix)]


def test_store__what_is_put__is_read_with_its_metadata(store: Store) -> None:
    store.put("wy/bill_1.json", b'{"n": 1}', {"run-id": "r", "scraped-at": "2031-01-01"})
    stored = store.get("wy/bill_1.json", max_bytes=100)
    assert stored.body == b'{"n": 1}'
    assert stored.object == store.head("wy/bill_1.json")
    assert stored.object.version == store.head("wy/bill_1.json").version
    assert (stored.object.key, stored.object.size) == ("wy/bill_1.json", 8)
    assert stored.object.metadata == {"run-id": "r", "scraped-at": "2031-01-01"}
    assert stored.object.last_modified is not None and stored.object.last_modified.tzinfo


def test_store__put__returns_the_etag(store: Store) -> None:
    assert store.put("key", b"content", {}) == store.head("key").etag


def test_store__put_where_an_object_exists__is_written_only_if_asked_for(store: Store) -> None:
    store.put("key", b"first", {}, overwrite=False)
    with pytest.raises(Exists):
        store.put("key", b"second", {}, overwrite=False)
    assert store.get("key", 100).body == b"first"
    store.put("key", b"third", {})
    assert store.get("key", 100).body == b"third"


def test_store__larger_than_asked_for__only_the_head(store: Store) -> None:
    store.put("large", b"x" * 11, {})
    stored = store.get("large", max_bytes=10)
    assert (stored.body, stored.object.size) == (None, 11)
    assert store.get("large", max_bytes=11).body == b"x" * 11


def test_store__older_version_asked_for__is_read(store: Store) -> None:
    store.put("key", b"old", {})
    old = store.head("key")
    store.put("key", b"new one", {})
    if old.version_id:
        assert store.get("key", 100, old.version_id) == StoredFile(old, b"old")
        assert store.head("key", old.version_id) == old


def test_store__no_such_object__raises_gone(store: Store) -> None:
    for ask in (lambda: store.get("nowhere", 10), lambda: store.head("nowhere")):
        with pytest.raises(Gone):
            ask()


def test_store__copied_and_deleted__is_there_and_only_there(store: Store) -> None:
    key, target = "wy/bill_é 1.json", "archived/2031-01-01/wy/bill_é 1.json"
    store.put(key, b"content", {"run-id": "r"})
    original = store.head(key)
    store.copy(original, target)
    assert store.delete(original)
    with pytest.raises(Gone):
        store.head(key)
    copy = store.get(target, 100)
    assert (copy.body, copy.object.metadata) == (b"content", {"run-id": "r"})
    assert keys_of(store) == [target]


def test_store__copied_with_other_metadata__has_that(store: Store) -> None:
    store.put("failed/key", b"content", {"run-id": "r"})
    store.copy(store.head("failed/key"), "key", {"scraped-at": "2031"}, overwrite=False)
    copy = store.get("key", 100)
    assert (copy.body, copy.object.metadata) == (b"content", {"scraped-at": "2031"})


def test_store__overwritten_meanwhile__the_newer_upload_survives(store: Store) -> None:
    store.put("key", b"old", {})
    old = store.head("key")
    store.put("key", b"new one", {})
    assert store.head("key").version != old.version
    if old.version_id:
        store.copy(old, "copy")
        assert store.get("copy", 100).body == b"old"
        assert store.delete(old)
    else:
        with pytest.raises(Gone):
            store.copy(old, "copy")
        assert not store.delete(old)
    assert store.get("key", 100).body == b"new one"


def test_store__deleted_twice__does_no_harm(store: Store) -> None:
    store.put("key", b"content", {})
    version = store.head("key")
    store.delete(version)
    store.delete(version)
    with pytest.raises(Gone):
        store.head("key")


def test_store__many_deleted_at_once__all_are_gone_and_the_rest_stays(store: Store) -> None:
    keys = ["a b", "é", "&<'\">", "x", "gone before"]
    for key in [*keys, "stays"]:
        store.put(key, b"content", {})
    versions = {store.head(key) for key in keys}
    store.delete(store.head("gone before"))
    assert store.delete_all(versions) == versions
    assert keys_of(store) == ["stays"]
    assert store.delete_all(versions) == versions
    assert store.delete_all([]) == set()


def test_store__many_deleted_and_one_overwritten_meanwhile__the_newer_upload_survives(
    store: Store,
) -> None:
    store.put("key", b"old", {})
    store.put("other", b"old", {})
    old = {store.head("key"), store.head("other")}
    store.put("key", b"new one", {})
    newer = store.head("key")
    assert store.delete_all(old) == old
    assert keys_of(store) == ["key"]
    assert store.get("key", 100).object == newer


def test_store__list__is_below_the_prefix_and_in_order(store: Store) -> None:
    for key in ("b/2", "a/1", "b/10", "c"):
        store.put(key, b"", {})
    assert keys_of(store, "b/") == ["b/10", "b/2"]
    assert keys_of(store, "nothing/") == []


def test_store__list__says_of_an_object_what_head_says(store: Store) -> None:
    store.put("wy/bill_1.json", b"old", {})
    store.put("wy/bill_1.json", b"content", {"run-id": "r"})
    [listed] = store.list("wy/")
    found = store.head("wy/bill_1.json")
    assert (listed.key, listed.etag) == (found.key, found.etag)
    assert listed.last_modified == found.last_modified
    assert listed.size >= found.size


def test_store__folders__are_those_right_below_the_prefix(store: Store) -> None:
    for key in ("a.json", "wy/1", "wy/2/3", "archived/2031-01-01/wy/1", "failed/dc/1"):
        store.put(key, b"", {})
    assert store.folders("") == ["archived/", "failed/", "wy/"]
    assert store.folders("archived/") == ["archived/2031-01-01/"]
    assert store.folders("wy/") == ["wy/2/"]
    assert store.folders("nowhere/") == []


def test_queue__sent__is_received_once_then_hidden(queue: Queue) -> None:
    bodies = [f'{{"n": {n}, "é": "\U0001f5f3"}}' for n in range(25)]
    for at in range(0, 25, 10):
        assert queue.send(bodies[at : at + 10]) == []
    received = queue.receive(100, visibility_timeout=60)
    assert sorted(m.body for m in received) == sorted(bodies)
    assert {m.receive_count for m in received} == {1}
    assert all(m.sent_at.tzinfo for m in received)
    assert queue.receive(100, visibility_timeout=60) == []


def test_queue__limit__is_kept(queue: Queue) -> None:
    queue.send(["1", "2", "3", "4", "5"])
    assert len(queue.receive(3, visibility_timeout=60)) == 3


def test_queue__deleted__never_comes_again(queue: Queue) -> None:
    queue.send(["stays", "goes"])
    received = queue.receive(10, visibility_timeout=60)
    goes = [m for m in received if m.body == "goes"]
    assert queue.delete(goes) == {m.message_id for m in goes}
    queue.change_visibility(received, lambda: 0)
    assert [m.body for m in queue.receive(10, visibility_timeout=60)] == ["stays"]


def test_queue__made_visible__comes_again_at_once_and_counts(queue: Queue) -> None:
    queue.send(["again"])
    first = queue.receive(1, visibility_timeout=60)
    assert queue.change_visibility(first, lambda: 0) == {first[0].message_id}
    (second,) = queue.receive(1, visibility_timeout=60)
    assert (second.message_id, second.receive_count) == (first[0].message_id, 2)
    assert second.sent_at == first[0].sent_at


def test_queue__hidden_for_a_second__comes_again_after_it(queue: Queue) -> None:
    queue.send(["again"])
    queue.receive(1, visibility_timeout=1)
    assert queue.receive(1, visibility_timeout=1) == []
    assert wait_until(lambda: bool(queue.receive(1, visibility_timeout=60)), seconds=5)


def test_queue__renewed__stays_hidden_for_longer(queue: Queue) -> None:
    queue.send(["held"])
    held = queue.receive(1, visibility_timeout=1)
    queue.change_visibility(held, lambda: 60)
    assert not wait_until(lambda: bool(queue.receive(1, visibility_timeout=1)), seconds=1.3)


def test_queue__released_with_different_delays__each_comes_after_its_own(queue: Queue) -> None:
    queue.send(["at once", "later"])
    received = queue.receive(2, visibility_timeout=60)
    delays = iter([0, 60])
    queue.change_visibility(received, lambda: next(delays))
    assert [m.body for m in queue.receive(2, visibility_timeout=60)] == [received[0].body]


@dataclass(frozen=True)
class Proxied:
    """S3 and SQS, to be used beside the proxy (`others`) and through it."""

    proxy: AwsProxy
    others: Backend
    obstore: bool

    def store(self, versioned: bool) -> tuple[Store, Store]:
        """Others' and ours, of one bucket; ours uses botocore only, or obstore from now on."""
        self.proxy.heal()
        store = self.others.store(versioned)
        client = backends.client("s3", self.proxy.endpoint, read_timeout=0.5)
        ours = S3Store(store.bucket, client, self.obstore)
        ours.put("first", b"", {})
        store.delete(store.head("first"))
        return store, ours

    def queue(self) -> tuple[Queue, Queue]:
        """Others' and ours, of one queue."""
        queue = self.others.queue()
        assert isinstance(queue, SqsQueue)
        return queue, SqsQueue(queue.url, backends.client("sqs", self.proxy.endpoint), wait=0)


@pytest.fixture(
    scope="module",
    params=[
        (name, transport) for name in ("moto", "ministack") for transport in ("botocore", "obstore")
    ],
    ids="-".join,
)
def proxied(request: SubRequest) -> Iterator[Proxied]:
    name, transport = request.param
    if name == "moto":
        stack: DevStack = request.getfixturevalue("stack")
        endpoint = stack.aws.endpoint
    else:
        endpoint = request.getfixturevalue("ministack_endpoint")
    with AwsProxy(endpoint) as proxy:
        yield Proxied(proxy, backends.emulator(endpoint), transport == "obstore")


def test_s3__obstore__is_used_for_plain_keys_only(proxied: Proxied) -> None:
    _, ours = proxied.store(True)
    # A set: a busy machine may answer late, and each client asks again when it does.
    used: set[bool] = set()
    proxied.proxy.rule = lambda request: used.add(BY_BOTOCORE not in request.headers)
    for key in ("wy/bill_1.json", "not plain", "slash/", "no//name", "dot/."):
        used.clear()
        ours.put(key, b"content", {})
        ours.get(key, 100, ours.head(key).version_id)
        assert used == {proxied.obstore and key == "wy/bill_1.json"}, key


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refusal(503, "SlowDown"), RetryLater),
        (refusal(500, "InternalError"), RetryLater),
        (refusal(403, "AccessDenied"), RetryLater),
        (refusal(403, "InvalidAccessKeyId"), Unavailable),
        (refusal(400, "ExpiredToken"), Unavailable),
        (refusal(404, "NoSuchBucket"), ConfigurationError),
        (silence, Unavailable),
    ],
    ids=["503", "500", "no-access", "bad-key", "expired", "no-bucket", "silence"],
)
def test_s3__request_fails__raises_what_is_promised(
    proxied: Proxied, fault: Fault, error: type[Exception]
) -> None:
    _, ours = proxied.store(False)
    proxied.proxy.rule = on("GetObject", "PutObject", fault=fault)
    for ask in (lambda: ours.put("key", b"", {}), lambda: ours.get("key", 10)):
        with pytest.raises(error) as caught:
            ask()
        assert caught.type is error


@pytest.mark.parametrize("fault", [refusal(503, "SlowDown"), cut_short, silence])
def test_s3__request_fails_once__is_made_again(proxied: Proxied, fault: Fault) -> None:
    _, ours = proxied.store(False)
    ours.put("key", b"content", {})
    proxied.proxy.rule = on("GetObject", "HeadObject", fault=fault, times=1)
    assert ours.get("key", 100).body == b"content"
    proxied.proxy.rule = on("PutObject", fault=fault, times=1)
    ours.put("key", b"other", {})
    assert ours.get("key", 100).body == b"other"


def test_s3__obstore_cannot_be_used_here__botocore_is_and_obstore_is_not_tried_again(
    proxied: Proxied,
) -> None:
    _, ours = proxied.store(False)

    def rule(request: Request) -> Fault | None:
        return None if BY_BOTOCORE in request.headers else refusal(403, "AccessDenied")

    proxied.proxy.rule = rule
    before = proxied.proxy.requests["PutObject"]
    for number in range(5):
        ours.put(str(number), b"content", {})
    assert proxied.proxy.requests["PutObject"] - before == 5 + proxied.obstore


@pytest.mark.parametrize("versioned", [True, False], ids=["versioned", "plain"])
@pytest.mark.parametrize("operation", ["DeleteObject", "CopyObject"])
def test_s3__other_upload_comes_between_check_and_request__is_left_alone(
    proxied: Proxied, operation: str, versioned: bool
) -> None:
    others, ours = proxied.store(versioned)
    others.put("key", b"old", {})
    old = ours.head("key")
    proxied.proxy.rule = on(operation, fault=after(lambda: others.put("key", b"newer", {})))
    if operation == "DeleteObject":
        assert ours.delete(old) is versioned
    elif versioned:
        ours.copy(old, "copy")
        assert others.get("copy", 100).body == b"old"
    else:
        with pytest.raises(Gone):
            ours.copy(old, "copy")
        assert keys_of(others) == ["key"]
    assert others.get("key", 100).body == b"newer"


def test_s3__store_ignores_conditions__overwritten_upload_left_alone_all_the_same(
    proxied: Proxied,
) -> None:
    others, ours = proxied.store(False)
    others.put("key", b"old", {})
    old = ours.head("key")
    others.put("key", b"newer", {})
    proxied.proxy.rule = on("DeleteObject", "CopyObject", fault=unconditionally)
    with pytest.raises(Gone):
        ours.copy(old, "copy")
    assert not ours.delete(old)
    assert [others.get(key, 100).body for key in keys_of(others)] == [b"newer"]


def test_s3__same_content_uploaded_again_before_many_are_deleted__the_newer_upload_survives(
    proxied: Proxied,
) -> None:
    others, ours = proxied.store(False)
    others.put("key", b"same", {})
    old = replace(ours.head("key"), last_modified=datetime(2031, 1, 1, tzinfo=UTC))
    assert ours.delete_all([old]) == {old}
    assert keys_of(others) == ["key"]


@pytest.mark.parametrize("others_between", [0, 50], ids=["listed", "mostly one by one"])
def test_s3__many_of_a_folder_are_deleted__those_overwritten_survive_and_few_requests_are_made(
    proxied: Proxied, others_between: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "WORTH_LISTING", 2)
    others, ours = proxied.store(False)
    keys = [f"wy/bill_{number:02}.json" for number in range(20)]
    for key in (*keys, "wy/vote", "us/bill"):
        others.put(key, b"content", {})
    for number in range(others_between):
        others.put(f"wy/bill_00.json_{number}", b"content", {})
    versions = {key: ours.head(key) for key in keys}
    # Another upload of the same content; one of another content; one that is gone.
    versions[keys[3]] = replace(versions[keys[3]], last_modified=datetime(2031, 1, 1, tzinfo=UTC))
    others.put(keys[5], b"newer", {})
    others.delete(versions[keys[7]])
    proxied.proxy.requests.clear()
    assert ours.delete_all(versions.values()) == set(versions.values())
    left = [one.key for one in others.list("") if "json_" not in one.key]
    assert left == ["us/bill", keys[3], keys[5], "wy/vote"]
    lists, heads = (proxied.proxy.requests[name] for name in ("ListObjectsV2", "HeadObject"))
    # Without obstore each is looked for by itself; the one that is gone, by obstore and botocore.
    assert (lists, heads) == ((1, 20 if others_between else 4) if proxied.obstore else (0, 20))


def test_s3__other_upload_comes_right_before_many_are_deleted__is_left_alone(
    proxied: Proxied,
) -> None:
    others, ours = proxied.store(False)
    for key in ("key", "other"):
        others.put(key, b"old", {})
    old = {ours.head("key"), ours.head("other")}
    proxied.proxy.rule = on(
        "DeleteObjects", fault=after_each(lambda: others.put("key", b"newer", {}))
    )
    assert ours.delete_all(old) == old
    assert [others.get(key, 100).body for key in keys_of(others)] == [b"newer"]


def test_s3__versions_kept_for_a_while__objects_with_and_without_one_are_copied_and_deleted(
    proxied: Proxied,
) -> None:
    others, ours = proxied.store(False)
    assert isinstance(others, S3Store)

    def keep_versions(status: str) -> None:
        others._client.put_bucket_versioning(
            Bucket=others.bucket, VersioningConfiguration={"Status": status}
        )

    others.put("before", b"before", {})
    others.put("replaced", b"before", {})
    imported = [ours.head("before"), ours.head("replaced")]
    keep_versions("Enabled")
    proxied.proxy.rule = on("GetObject", "HeadObject", fault=named_null)
    assert [ours.head("before"), ours.head("replaced")] == imported
    others.put("replaced", b"newer", {})
    others.put("meanwhile", b"meanwhile", {})
    imported.append(ours.head("meanwhile"))
    keep_versions("Suspended")
    others.put("after", b"after", {})
    imported.append(ours.head("after"))
    assert [bool(one.version_id) for one in imported] == [False, False, True, False]
    for one in imported:
        if one.key != "replaced":
            ours.copy(one, f"copy of {one.key}")
            assert others.get(f"copy of {one.key}", 100).body == one.key.encode()
    assert ours.delete_all(imported) == set(imported)
    copies = [f"copy of {key}" for key in ("after", "before", "meanwhile")]
    assert keys_of(others) == [*copies, "replaced"]
    assert others.get("replaced", 100).body == b"newer"
    assert ours.delete_all(imported) == set(imported)


@pytest.mark.parametrize("versioned", [True, False], ids=["versioned", "plain"])
def test_s3__some_of_many_are_refused__says_which(proxied: Proxied, versioned: bool) -> None:
    others, ours = proxied.store(versioned)
    for key in ("refused", "other"):
        others.put(key, b"content", {})
    refused, other = ours.head("refused"), ours.head("other")
    proxied.proxy.rule = on("DeleteObjects", fault=without("refused"))
    assert ours.delete_all([refused, other]) == {other}
    assert keys_of(others) == ["refused"]


@pytest.mark.parametrize("versioned", [True, False], ids=["versioned", "plain"])
def test_s3__more_deleted_than_fit_into_a_request__all_are_gone(
    proxied: Proxied, versioned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "DELETIONS", 2)
    others, ours = proxied.store(versioned)
    for number in range(5):
        others.put(str(number), b"content", {})
    before = proxied.proxy.requests["DeleteObjects"]
    versions = {ours.head(key) for key in keys_of(others)}
    assert ours.delete_all(versions) == versions
    assert keys_of(others) == []
    assert proxied.proxy.requests["DeleteObjects"] - before == 3


@pytest.mark.parametrize("versioned", [True, False], ids=["versioned", "plain"])
def test_s3__upload_at_the_target_of_a_copy__is_overwritten_only_if_asked_for(
    proxied: Proxied, versioned: bool
) -> None:
    others, ours = proxied.store(versioned)
    others.put("key", b"old", {})
    proxied.proxy.rule = on(
        "CopyObject", fault=after(lambda: others.put("copy", b"newer", {})), times=2
    )
    with pytest.raises(Gone):
        ours.copy(ours.head("key"), "copy", overwrite=False)
    assert others.get("copy", 100).body == b"newer"
    ours.copy(ours.head("key"), "copy")
    assert others.get("copy", 100).body == b"old"


def test_sqs__some_of_a_batch_are_refused__says_which(proxied: Proxied) -> None:
    others, ours = proxied.queue()
    proxied.proxy.rule = on(
        "SendMessageBatch", "DeleteMessageBatch", fault=partly({3, 7}.__contains__)
    )
    bodies = [str(number) for number in range(10)]
    assert ours.send(bodies) == [3, 7]
    assert others.send(["3", "7"]) == []
    received = others.receive(20, visibility_timeout=60)
    assert sorted(m.body for m in received) == bodies
    refused = {received[3].message_id, received[7].message_id}
    assert ours.delete(received) == {m.message_id for m in received} - refused
    others.change_visibility(received, lambda: 0)
    assert {m.message_id for m in others.receive(20, visibility_timeout=60)} == refused


@pytest.mark.parametrize("name", ["moto", "ministack"])
def test_aws__no_such_bucket_or_queue__is_a_wrong_setting(
    name: str, request: pytest.FixtureRequest
) -> None:
    endpoint: Any = (
        request.getfixturevalue("stack").aws.endpoint
        if name == "moto"
        else request.getfixturevalue("ministack_endpoint")
    )
    store = S3Store("there-is-none", backends.client("s3", endpoint))
    queue = SqsQueue(f"{endpoint}/000000000000/none", backends.client("sqs", endpoint), wait=0)
    with pytest.raises(ConfigurationError, match="S3_REALTIME_BASE"):
        store.put("key", b"", {})
    with pytest.raises(ConfigurationError, match="SQS_QUEUE_URL"):
        queue.send(["body"])
