"""A folder as a store: beside other processes, with faults of the disk, and with foreign files."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from realtime.backends import folder
from realtime.backends.folder import FolderStore
from realtime.domain.errors import ConfigurationError, RetryLater, Unavailable
from realtime.domain.interfaces import Exists, Gone
from tests.support import ROOT

NOBODY = 65534


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "store"
    place.mkdir()
    return place


@pytest.fixture
def store(place: Path) -> FolderStore:
    return FolderStore(str(place))


def keys(store: FolderStore, prefix: str = "") -> list[str]:
    return [found.key for found in store.list(prefix)]


def own_files(place: Path) -> list[str]:
    return sorted(path.name for path in (place / ".realtime").iterdir())


def drop(path: Path, body: bytes, seconds_ago: float = 0) -> None:
    """A file that another program has put there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    then = path.stat().st_mtime - seconds_ago
    os.utime(path, (then, then))


@contextmanager
def lock_held(place: Path) -> Iterator[None]:
    """As by another process."""
    with (place / ".realtime" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Meanwhile:
    """What others do between the moment a call first asks for the lock and the moment it has it."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._place = place
        self._asked = threading.Event()
        flock = fcntl.flock

        def noticed(lock: int, operation: int) -> None:
            try:
                flock(lock, operation)
            except BlockingIOError:
                self._asked.set()
                raise

        monkeypatch.setattr(fcntl, "flock", noticed)

    def __call__(self, call: Callable[[], Any], others: Callable[[], None]) -> Any:
        with ThreadPoolExecutor(1) as thread:
            with lock_held(self._place):
                self._asked.clear()
                future = thread.submit(call)
                assert self._asked.wait(10)
                others()
            return future.result()


@pytest.fixture
def meanwhile(place: Path, monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    return Meanwhile(place, monkeypatch)


def replace(path: Path, body: bytes) -> Callable[[], None]:
    """Put another upload there, as another process does while it holds the lock."""

    def act() -> None:
        newer = path.with_name(".newer")
        newer.write_bytes(body)
        newer.rename(path)

    return act


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's rights, which the tests may have."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that others can reach, which pytest's are not."""
    place = Path("/tmp") / f"realtime-test-{os.getpid()}"
    place.mkdir()
    yield place
    shutil.rmtree(place)


def test_put__file_in_the_folder__is_the_body_and_a_line_of_metadata(
    store: FolderStore, place: Path
) -> None:
    store.put("wy/bill_1.json", b'{"n": 1}', {"run-id": "é"})
    body, line = (place / "wy" / "bill_1.json").read_bytes().splitlines()
    assert body == b'{"n": 1}'
    assert json.loads(line) == {"realtime": {"run-id": "é"}}
    assert own_files(place) == ["lock"]


@pytest.mark.parametrize(
    "body", [b"", b"\n", b'\n{"realtime": {"run-id": "not mine"}}\n', b"\0" * 5000, b"x\n" * 5000]
)
def test_put__whatever_the_body_is__is_read_as_it_was(store: FolderStore, body: bytes) -> None:
    store.put("key", body, {"run-id": "r"})
    stored = store.get("key", 100_000)
    assert (stored.body, stored.object.metadata) == (body, {"run-id": "r"})


def test_folder__is_copied__objects_keep_body_and_metadata(
    store: FolderStore, place: Path, tmp_path: Path
) -> None:
    store.put("wy/1", b"content", {"run-id": "r"})
    subprocess.run(["cp", "-r", place, tmp_path / "copy"], check=True)
    stored = FolderStore(str(tmp_path / "copy")).get("wy/1", 100)
    assert (stored.body, stored.object.metadata) == (b"content", {"run-id": "r"})


def test_file_of_another_program__is_an_object_without_metadata(
    store: FolderStore, place: Path
) -> None:
    drop(place / "wy" / "bill_1.json", b'{\n  "n": 1\n}\n')
    stored = store.get("wy/bill_1.json", 100)
    assert (stored.body, stored.object.metadata) == (b'{\n  "n": 1\n}\n', {})
    store.copy(stored.object, "copy", {"run-id": "r"})
    assert store.rename_all({stored.object: "archived/1"}) == {}
    assert keys(store) == ["archived/1", "copy"]
    assert store.get("archived/1", 100).body == store.get("copy", 100).body == stored.body


def test_file_that_another_program_writes__half_of_it_is_neither_listed_nor_read(
    store: FolderStore, place: Path
) -> None:
    path = place / "wy" / "bill_1.json"
    drop(path, b'{"actions": [{"n": 1}, ')
    assert keys(store) == []
    with pytest.raises(RetryLater, match="being written"):
        store.get("wy/bill_1.json", 100)
    drop(path, b'{"actions": [{"n": 1}, {"n": 2}]}')
    assert keys(store) == ["wy/bill_1.json"]
    assert store.get("wy/bill_1.json", 100).body == b'{"actions": [{"n": 1}, {"n": 2}]}'


@pytest.mark.parametrize(("seconds_ahead", "settled"), [(60, False), (86_400, True)])
def test_file_of_another_program__dated_in_the_future__waits_for_clocks_that_differ(
    store: FolderStore, place: Path, seconds_ahead: int, settled: bool
) -> None:
    drop(place / "wy" / "person.yml", b"name: Ada", seconds_ago=-seconds_ahead)
    assert keys(store) == ["wy/person.yml"] * settled


def test_file_of_another_program__unchanged_for_a_second__counts_as_whole(
    store: FolderStore, place: Path
) -> None:
    drop(place / "wy" / "person.yml", b"name: Ada", seconds_ago=2)
    assert keys(store) == ["wy/person.yml"]
    assert store.get("wy/person.yml", 100).body == b"name: Ada"


def test_file__changed_while_it_is_read__is_left_for_later(
    store: FolderStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place / "key"
    drop(path, b"old", seconds_ago=2)
    chunks = folder._chunks

    def changed_before(file: int, size: int) -> Iterator[bytes]:
        path.write_bytes(b"new")
        return chunks(file, size)

    monkeypatch.setattr(folder, "_chunks", changed_before)
    with pytest.raises(RetryLater, match="being written"):
        store.get("key", 100)


def test_put__until_it_is_whole__readers_see_what_was_before(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("key", b"old", {})
    writing, go_on = threading.Event(), threading.Event()
    fsync = os.fsync

    def waiting(file: int) -> None:
        writing.set()
        assert go_on.wait(10)
        fsync(file)

    monkeypatch.setattr(os, "fsync", waiting)
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(lambda: [store.put(key, b"new", {}) for key in ("key", "other")])
        assert writing.wait(10)
        assert (keys(store), store.get("key", 100).body) == (["key"], b"old")
        go_on.set()
        future.result()
    assert (keys(store), store.get("key", 100).body) == (["key", "other"], b"new")


def test_delete__other_upload_comes_meanwhile__is_left_alone(
    store: FolderStore, place: Path, meanwhile: Meanwhile
) -> None:
    store.put("key", b"old", {})
    old = store.head("key")
    for delete in (lambda: store.delete(old), lambda: store.delete_all([old])):
        assert meanwhile(delete, replace(place / "key", b"newer")) in (False, {old})
        assert (place / "key").read_bytes() == b"newer"


def test_rename__other_upload_comes_meanwhile__is_left_alone(
    store: FolderStore, place: Path, meanwhile: Meanwhile
) -> None:
    for key in ("key", "other"):
        store.put(key, b"old", {})
    old, other = store.head("key"), store.head("other")
    moves = {old: "archived/key", other: "archived/other"}
    failed = meanwhile(lambda: store.rename_all(moves), replace(place / "key", b'"newer"'))
    assert [(version, type(why)) for version, why in failed.items()] == [(old, Gone)]
    assert keys(store) == ["archived/other", "key"]


def test_many_changes__others_get_the_lock_in_between(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_CHANGES", 2)
    taken: list[int] = []
    flock = fcntl.flock

    def counted(lock: int, operation: int) -> None:
        taken.append(lock)
        flock(lock, operation)

    monkeypatch.setattr(fcntl, "flock", counted)
    for number in range(5):
        store.put(f"wy/{number}", b"", {})
    versions = [store.head(key) for key in keys(store)]
    taken.clear()
    assert store.rename_all({v: f"archived/{v.key}" for v in versions}) == {}
    assert (len(taken), len(keys(store, "archived/"))) == (3, 5)
    assert store.delete_all(versions) == set(versions)
    assert len(taken) == 6


def test_put__other_upload_comes_meanwhile__is_overwritten_only_if_asked_for(
    store: FolderStore, place: Path, meanwhile: Meanwhile
) -> None:
    store.put("first", b"", {})
    put = lambda: store.put("key", b"ours", {}, overwrite=False)  # noqa: E731
    with pytest.raises(Exists):
        meanwhile(put, replace(place / "key", b"theirs"))
    assert (place / "key").read_bytes() == b"theirs"
    with pytest.raises(Gone):
        meanwhile(
            lambda: store.copy(store.head("first"), "other", overwrite=False),
            replace(place / "other", b"theirs"),
        )
    store.put("key", b"ours", {})
    assert store.get("key", 100).body == b"ours"


def test_put__twice_at_one_moment__is_two_uploads(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1_925_000_000_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: moment)
    store.put("key", b"one", {})
    with pytest.raises(RetryLater):
        store.put("key", b"two", {})
    assert store.get("key", 100).body == b"one"
    moment += 100
    store.put("key", b"two", {})
    assert store.get("key", 100).body == b"two"


WRITERS = """
import sys
from realtime.backends.folder import FolderStore
from realtime.domain.interfaces import Exists
store, name = FolderStore(sys.argv[1]), sys.argv[2].encode()
for number in range(2):
    print(end="ready\\n", flush=True)
    sys.stdin.readline()
    for at in range(25):
        try:
            store.put(f"{number}/{at}", name * 2000, {"by": name.decode()}, overwrite=False)
            print(f"wrote {number}/{at}")
        except Exists:
            store.put("shared", name * 2000, {"by": name.decode()})
print("done", flush=True)
"""


def test_processes__write_the_same_keys_at_once__each_key_is_one_process_s_whole_object(
    store: FolderStore, place: Path
) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITERS, str(place), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for name in "abc"
    ]
    for _ in range(2):
        for writer in writers:
            assert writer.stdout and writer.stdin
            while writer.stdout.readline() != "ready\n":
                pass
        for writer in writers:
            assert writer.stdin
            writer.stdin.write("\n")
            writer.stdin.flush()
    wrote = sorted(
        line.split()[1]
        for writer in writers
        for line in writer.communicate()[0].splitlines()
        if line.startswith("wrote")
    )
    # What the first round wrote was read while the writers were waited for.
    assert set(wrote) <= set(keys(store)) - {"shared"}
    assert len(keys(store)) == 51
    for key in keys(store):
        stored = store.get(key, 100_000)
        assert stored.body == stored.object.metadata["by"].encode() * 2000
    assert own_files(place) == ["lock"]


KILLED = """
import os, signal, sys
from realtime.backends import folder
store = folder.FolderStore(sys.argv[1])
does = getattr(os, sys.argv[2])
def die(*arguments, **named):
    does(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(folder.os, sys.argv[2], die)
store.put("key", b"new", {})
"""


@pytest.mark.parametrize(
    ("step", "left"), [("fsync", b"old"), ("utime", b"old"), ("rename", b"new")]
)
def test_process__killed_while_it_writes__old_or_new_is_there_and_the_lock_is_free(
    store: FolderStore, place: Path, step: str, left: bytes
) -> None:
    store.put("key", b"old", {})
    killed = subprocess.run([sys.executable, "-c", KILLED, str(place), step], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert (keys(store), store.get("key", 100).body) == (["key"], left)
    store.put("key", b"later", {})
    assert store.get("key", 100).body == b"later"


def test_unfinished_files__of_a_process_that_was_killed_days_ago__are_removed(
    store: FolderStore, place: Path
) -> None:
    drop(place / ".realtime" / "old.tmp", b"half", seconds_ago=2 * 86_400)
    drop(place / ".realtime" / "new.tmp", b"half")
    store.put("key", b"", {})
    assert own_files(place) == ["lock", "new.tmp"]


def test_lock__another_process_holds_it_for_long__is_an_outage(
    store: FolderStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_LOCK_WAIT", 0.05)
    store.put("key", b"old", {})
    with lock_held(place), pytest.raises(Unavailable, match="lock has been held"):
        store.put("key", b"new", {})
    assert store.get("key", 100).body == b"old"
    assert own_files(place) == ["lock"]


def test_lock__file_system_without_locks__is_an_outage(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(lock: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(Unavailable, match="cannot be locked: No locks available"):
        store.put("key", b"", {})
    assert keys(store) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_disk__full_or_broken__is_an_outage_and_nothing_is_left(
    store: FolderStore, place: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("key", b"old", {})

    def fail(file: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Unavailable, match=os.strerror(code)):
        store.put("key", b"new", {})
    assert (keys(store), store.get("key", 100).body) == (["key"], b"old")
    assert own_files(place) == ["lock"]


def test_folder__missing_or_a_file__is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        store = FolderStore(str(path))
        for call in (
            lambda store=store: store.get("key", 1),
            lambda store=store: store.put("key", b"", {}),
            lambda store=store: list(store.list("")),
        ):
            with pytest.raises(ConfigurationError, match=f"S3_REALTIME_BASE.*{path}"):
                call()
    assert not (tmp_path / "nowhere").exists()


def test_folder__closed_to_us__is_a_wrong_setting(open_place: Path) -> None:
    store = FolderStore(str(open_place))
    store.put("key", b"", {})
    open_place.chmod(0o700)
    with as_nobody(), pytest.raises(ConfigurationError, match="closed to us"):
        store.get("key", 1)
    open_place.chmod(0o755)
    with as_nobody():
        assert keys(store) == ["key"]
        with pytest.raises(ConfigurationError, match="nothing can be written"):
            store.put("other", b"", {})


def test_problems__folder_that_may_not_be_written__is_named(open_place: Path) -> None:
    store = FolderStore(str(open_place))
    store.put("wy/1", b"", {})
    assert store.problems() == []
    for path in (open_place, open_place / ".realtime", open_place / ".realtime" / "lock"):
        path.chmod(0o777)
    with as_nobody():
        store.put("dc/1", b"", {})
        [problem] = store.problems()
    assert problem.startswith("wy/ may not be written")
    assert own_files(open_place) == ["lock"]


def test_file__closed_to_us__is_left_for_later_and_others_are_read(open_place: Path) -> None:
    store = FolderStore(str(open_place))
    for key in ("closed", "open"):
        store.put(key, b"content", {})
    (open_place / "closed").chmod(0o600)
    with as_nobody():
        with pytest.raises(RetryLater) as caught:
            store.get("closed", 100)
        assert store.get("open", 100).body == b"content"
    assert caught.type is RetryLater


@pytest.mark.parametrize(
    "key",
    ["../outside", "a/../../outside", "/outside", "a//b", "", "a/", ".realtime/lock", ".", "a\0b"],
)
def test_key__that_is_no_path_in_the_folder__is_refused(
    store: FolderStore, place: Path, key: str
) -> None:
    (place.parent / "outside").write_text("secret")
    store.put("inside", b"", {})
    inside = store.head("inside")
    for read in (lambda: store.get(key, 100), lambda: store.head(key)):
        with pytest.raises(Gone):
            read()
    for write in (lambda: store.put(key, b"", {}), lambda: store.copy(inside, key)):
        with pytest.raises(RetryLater):
            write()
    assert isinstance(store.rename_all({inside: key})[inside], RetryLater)
    assert list(store.list(f"{key}/")) == []
    assert keys(store) == ["inside"]
    assert (place.parent / "outside").read_text() == "secret"


def test_links__out_of_the_folder__are_not_followed(store: FolderStore, place: Path) -> None:
    outside = place.parent / "outside"
    drop(outside / "key", b"secret", seconds_ago=2)
    (place / "file").symlink_to(outside / "key")
    (place / "folder").symlink_to(outside)
    assert (keys(store), store.folders("")) == ([], [])
    for key in ("file", "folder/key"):
        with pytest.raises(Gone):
            store.get(key, 100)
    with pytest.raises(RetryLater):
        store.put("folder/new", b"", {})
    store.put("inside", b"", {})
    inside = store.head("inside")
    assert isinstance(store.rename_all({inside: "folder/new"})[inside], RetryLater)
    assert os.listdir(outside) == ["key"]


def test_pipes_and_folders__are_no_objects_and_nothing_waits_for_them(
    store: FolderStore, place: Path
) -> None:
    os.mkfifo(place / "pipe")
    (place / "folder").mkdir()
    assert keys(store) == []
    for key in ("pipe", "folder"):
        with pytest.raises(Gone):
            store.get(key, 100)
        with pytest.raises(RetryLater):
            store.put(f"{key}/inner" if key == "pipe" else key, b"", {})


def test_list__file_is_moved_meanwhile__is_left_out(store: FolderStore, place: Path) -> None:
    for key in ("a", "b", "c"):
        store.put(key, b"", {})
    listing = store.list("")
    assert next(listing).key == "a"
    (place / "b").unlink()
    assert [found.key for found in listing] == ["c"]


def test_list__names_around_the_slash__are_in_the_order_of_keys(store: FolderStore) -> None:
    names = ["a-b", "a/b", "a.b", "a/b.c", "a/b-c/d", "a0", "é", "Z"]
    for key in names:
        store.put(key, b"", {})
    assert keys(store) == sorted(names)
    assert keys(store, "a/b") == ["a/b", "a/b-c/d", "a/b.c"]
