"""Archives, manifests, folders and lines that lie, lead out or have no end.

Each is an error that names the member; the good ones beside it are read all the same.
"""

import gzip
import io
import json
import os
import random
import stat
import struct
import tarfile
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from realtime.backends.folder import FolderStore
from realtime.domain import scraped_object
from realtime.domain.errors import PoisonMessage
from realtime.domain.scraped_object import parse_time
from realtime.sources import archives, store_tree
from realtime.sources.open_source import open_source
from realtime.sources.source import Broken, Member, NoSource, Skipped, aware

MOST = 100_000
SECRET = json.dumps({"_id": str(uuid.uuid1()), "title": "not ours"}).encode()


def body(**more: Any) -> bytes:
    return json.dumps({"_id": str(uuid.uuid1()), "title": "good", **more}).encode()


def file_name(kind: str = "bill") -> str:
    return f"{kind}_{uuid.uuid1()}.json"


class Looked:
    """What a source holds: the contents of members that can be read, and the errors of others."""

    def __init__(self, path: Path | str) -> None:
        self.good: list[str] = []
        self.errors: dict[str, str] = {}
        self.skipped: list[str] = []
        for volume in open_source(str(path), "wy").volumes():
            for entry in list(volume.entries()):
                if isinstance(entry, Broken):
                    self.errors[entry.name] = f"{entry.problem.reason}: {entry.problem}"
                elif isinstance(entry, Skipped):
                    self.skipped.append(entry.name)
                else:
                    self._read(volume, entry)
            volume.close()

    def _read(self, volume: Any, member: Member) -> None:
        try:
            content = volume.read(member, MOST).content
            found = scraped_object.read(member.object_type, content, aware(0))
        except PoisonMessage as problem:
            self.errors[member.name] = f"{problem.reason}: {problem}"
        else:
            self.good.append(found.data.get("title", ""))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that nobody may read, beside the folder of the source."""
    path = tmp_path / f"bill_{uuid.uuid1()}.json"
    path.write_bytes(SECRET)
    (tmp_path / "in").mkdir()
    return path


def expect(looked: Looked, name: str, reason: str, good: int = 2) -> None:
    assert looked.good == ["good"] * good
    [(told, problem)] = looked.errors.items()
    assert name in told and problem.startswith(reason), looked.errors
    assert problem.isprintable() and len(problem) < 1000


# Names

BAD_NAMES = [
    "/etc/{}", "../{}", "../../{}", "wy/../../{}", "wy/./{}", "wy//{}", "./../{}", "..\\{}",
    "wy\\{}", "C:\\{}", "c:{}", "\\\\host\\share\\{}", "wy/\n/{}", "wy/\u202e/{}", "//{}",
    "wy/\x7f/{}", "x" * 1030 + "/{}", "wy/../{}", "/{}", "wy/../wy/{}",
]  # fmt: skip
TAR_FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def tar_of(
    path: Path, add: Callable[[tarfile.TarFile], None], kind: int = tarfile.GNU_FORMAT
) -> None:
    """A good member, what `add` adds, and another good one."""
    with tarfile.open(path, "w:gz", format=kind) as tar:
        add_file(tar, f"wy/{file_name()}")
        add(tar)
        add_file(tar, f"wy/{file_name()}")


def add_file(tar: tarfile.TarFile, name: str, content: bytes | None = None) -> None:
    content = body() if content is None else content
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def often(times: int, add: Callable[[int], None]) -> None:
    for number in range(times):
        add(number)


def zip_of(path: Path, add: Callable[[zipfile.ZipFile], None]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"wy/{file_name()}", body())
        add(archive)
        archive.writestr(f"wy/{file_name()}", body())


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("kind", [*TAR_FORMATS, "zip"])
def test_archive__name_that_leads_out_of_it__named_and_others_read(
    kind: str, name: str, tmp_path: Path
) -> None:
    bad, file = name.format(file_name()), file_name()
    bad = name.format(file)
    if kind == "zip":
        path = tmp_path / "a.zip"
        zip_of(path, lambda archive: archive.writestr(bad, body()))
    else:
        path = tmp_path / "a.tgz"
        tar_of(path, lambda tar: add_file(tar, bad), TAR_FORMATS[kind])
    expect(Looked(path), file if len(bad) < 150 and bad.isprintable() else "a.", "bad-name")
    assert list(tmp_path.iterdir()) == [path]


# What is no file

TAR_TYPES = {
    "a link": tarfile.SYMTYPE,
    "a hard link": tarfile.LNKTYPE,
    "a character device": tarfile.CHRTYPE,
    "a block device": tarfile.BLKTYPE,
    "a pipe": tarfile.FIFOTYPE,
    "a sparse file": tarfile.GNUTYPE_SPARSE,
    "a type that nobody knows": b"Z",
}


@pytest.mark.parametrize("kind", TAR_TYPES)
@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "wy/x.json"])
def test_tar__member_that_is_no_file__named_and_others_read(
    kind: str, target: str, tmp_path: Path
) -> None:
    name = file_name()

    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(f"wy/{name}")
        info.type, info.linkname = TAR_TYPES[kind], target
        tar.addfile(info)

    tar_of(tmp_path / "a.tgz", add)
    expect(Looked(tmp_path / "a.tgz"), name, "not-a-file")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_zip__member_that_is_no_file__named_and_others_read(kind: int, tmp_path: Path) -> None:
    info = zipfile.ZipInfo(f"wy/{file_name()}")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    zip_of(tmp_path / "a.zip", lambda archive: archive.writestr(info, "/etc/passwd"))
    expect(Looked(tmp_path / "a.zip"), info.filename, "not-a-file")


# What cannot be read


def broken_zip(change: Callable[[zipfile.ZipInfo], None]) -> Callable[[zipfile.ZipFile], None]:
    def add(archive: zipfile.ZipFile) -> None:
        archive.writestr("wy/bill_bad.json", body())
        change(archive.infolist()[-1])

    return add


def encrypted(info: zipfile.ZipInfo) -> None:
    info.flag_bits |= 0x1


def unknown_method(info: zipfile.ZipInfo) -> None:
    info.compress_type = 99


def wrong_sum(info: zipfile.ZipInfo) -> None:
    info.CRC ^= 1


def too_small(info: zipfile.ZipInfo) -> None:
    info.file_size -= 5


def too_large(info: zipfile.ZipInfo) -> None:
    info.file_size = MOST + 1


def elsewhere(info: zipfile.ZipInfo) -> None:
    info.header_offset += 7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (encrypted, "bad-archive: it is encrypted"),
        (unknown_method, "bad-archive: its compression method 99"),
        (wrong_sum, "bad-archive"),
        (too_small, "bad-archive"),
        (too_large, "too-large"),
        (elsewhere, "bad-archive"),
    ],
)
def test_zip__member_that_cannot_be_read__named_and_others_read(
    change: Callable[[zipfile.ZipInfo], None], reason: str, tmp_path: Path
) -> None:
    zip_of(tmp_path / "a.zip", broken_zip(change))
    expect(Looked(tmp_path / "a.zip"), "wy/bill_bad.json", reason)


@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_archive__one_name_twice__second_named_and_others_read(kind: str, tmp_path: Path) -> None:
    name, path = f"wy/{file_name()}", tmp_path / f"a.{kind}"
    if kind == "zip":
        with pytest.warns(UserWarning, match="Duplicate name"):
            zip_of(path, lambda a: often(2, lambda _: a.writestr(name, body())))
    else:
        tar_of(path, lambda tar: often(2, lambda _: add_file(tar, name)))
    expect(Looked(path), name, "twice", good=3)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_archive__cut_off_anywhere__said_and_nothing_raised(
    kind: str, seed: int, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{kind}"
    whole = an_archive(path)
    path.write_bytes(whole[: random.Random(seed).randrange(len(whole) - 1)])
    looked = Looked(path)
    assert set(looked.good) <= {"good"}
    assert looked.errors and all(name.startswith(path.name) for name in looked.errors)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("kind", ["tgz", "tar in gz", "zip"])
def test_archive__bytes_changed_anywhere__nothing_raised_and_nothing_outside(
    kind: str, seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    path = tmp_path / ("a.zip" if kind == "zip" else "a.tgz")
    content = bytearray(an_archive(path))
    if kind == "tar in gz":
        content = bytearray(gzip.decompress(content))
    for _ in range(rng.choice([1, 3, 40])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(gzip.compress(content) if kind == "tar in gz" else content)
    Looked(path)
    assert list(tmp_path.iterdir()) == [path]


def an_archive(path: Path) -> bytes:
    if path.suffix == ".zip":
        zip_of(path, lambda archive: archive.writestr(f"wy/{file_name()}", body()))
    else:
        tar_of(path, lambda tar: add_file(tar, f"wy/{file_name()}"))
    return path.read_bytes()


def header(size: bytes, kind: bytes = b"0", name: bytes = b"wy/bill_bad.json") -> bytes:
    """A member's header in a tar, whose checksum is right, whatever else it says."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:124] = b"0000644\00000000\00000000\0"
    block[124 : 124 + len(size)] = size
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def base_256(size: int) -> bytes:
    """A number as GNU tar writes those that have no octal form."""
    return (b"\xff" if size < 0 else b"\x80").ljust(
        4, b"\xff" if size < 0 else b"\0"
    ) + struct.pack(">q", size)


@pytest.mark.parametrize(
    "bad",
    [
        header(base_256(-512)),
        header(base_256(-1024)),
        header(base_256(-(10**12))),
        header(b"77777777777\0"),
        header(base_256(2**62)),
        header(base_256(2**40), kind=b"x"),
        header(base_256(2**40), kind=b"L"),
        header(base_256(2**40), kind=b"g"),
        header(base_256(-512), kind=b"x"),
        header(b"not octal!!\0"),
        header(b"00000000000\0", kind=b"x") * 3000,
        header(b"00000000000\0", kind=b"L") * 3000,
        header(b"00000000024\0", kind=b"x") + b"20 size=-1000000000\n".ljust(512, b"\0"),
        header(b"00000000024\0", kind=b"x") + b"20 path=../../../x\n\n".ljust(512, b"\0"),
        header(b"00000000024\0", kind=b"x") + b"99999999999 size=1\n\n".ljust(512, b"\0"),
        b"\xff" * 512,
        b"\0" * 511 + b"\1",
    ],
    ids=range(17),
)  # fmt: skip
def test_tar__header_that_lies__said_and_what_comes_before_it_read(
    bad: bytes, tmp_path: Path
) -> None:
    tar_of(tmp_path / "a.tgz", lambda tar: None)
    whole = gzip.decompress((tmp_path / "a.tgz").read_bytes())
    (tmp_path / "a.tgz").write_bytes(gzip.compress(whole[:1024] + bad + whole[1024:]))
    looked = Looked(tmp_path / "a.tgz")
    assert looked.good[:1] == ["good"]
    assert looked.errors and all(name.startswith("a.tgz") for name in looked.errors)


@pytest.mark.parametrize("name", ["a.tgz", "a.tar.gz", "a.zip"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"PK", b"\x1f\x8b", gzip.compress(b""), gzip.compress(b"no tar"), b"\0" * 9999],
    ids=range(7),
)
def test_archive__is_none__said(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    expect(Looked(tmp_path / name), name, "bad-archive", good=0)


# What has no end


@pytest.mark.parametrize("kind", ["tgz", "zip", "zip of many"])
def test_archive__unpacks_to_more_than_its_size_allows__said_and_no_more_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_SMALL", 1_000_000)
    zeros, path = b" " * 3_000_000, tmp_path / f"a.{kind[:3]}"
    if kind == "tgz":
        tar_of(path, lambda tar: add_file(tar, "wy/bill_bomb.json", zeros))
    elif kind == "zip":
        zip_of(path, lambda archive: archive.writestr("wy/bill_bomb.json", zeros))
    else:
        zip_of(
            path,
            lambda a: often(60, lambda n: a.writestr(f"wy/bill_{n}.json", zeros[:50_000])),
        )
    looked = Looked(path)
    assert looked.good[:1] == ["good"]
    assert "unpacks to more than" in looked.errors[path.name]


def test_archive__more_members_than_allowed__said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    path = tmp_path / "a.tgz"
    an_archive(path)
    assert "more than 2 members" in Looked(path).errors["a.tgz"]


def test_archive__archives_and_lines_in_it__left_out(tmp_path: Path) -> None:
    others = ["b.zip", "bill.jsonl", "README"]
    path = tmp_path / "a.zip"
    zip_of(path, lambda a: often(3, lambda n: a.writestr(f"wy/{others[n]}", b"x")))
    looked = Looked(path)
    assert (looked.good, looked.errors) == (["good"] * 2, {})
    assert len(looked.skipped) == 3


def test_people__yaml_of_aliases__refused_without_end(tmp_path: Path) -> None:
    (tmp_path / "legislature").mkdir()
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"b{n}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(30)]
    (tmp_path / "legislature/Bomb.yml").write_text("\n".join(lines))
    (tmp_path / file_name()).write_bytes(body())
    expect(Looked(tmp_path), "Bomb.yml", "bad-yaml", good=1)


# Lines

BAD_LINES = {
    "cut off": b'{"_id": "',
    "no JSON": b"<html>",
    "a list": b"[]",
    "a number": b"7",
    "a text": b'"x"',
    "null": b"null",
    "two objects": body() + body(),
    "without id": b"{}",
    "id is a number": b'{"_id": 7}',
    "id is no UUID": b'{"_id": "../x"}',
    "id is long": json.dumps({"_id": "x" * 999}).encode(),
    "id has a NUL": b'{"_id": "a\\u0000b"}',
    "id is half a pair": b'{"_id": "\\ud800"}',
    "names a row": body(id="ocd-bill/1"),
    "nested deeply": b"[" * 90_000,
    "objects nested deeply": b'{"a":' * 15_000,
    "invalid UTF-8": b'{"_id": "\xff\xfe"}',
    "a NUL": b"\0" + body(),
    "longer than allowed": body(x="x" * MOST),
    "of a jurisdiction without end": body(jurisdiction="x" * 400),
    "a comment": b"# bill",
    "a comma after it": body() + b",",
    "single quotes": b"{'_id': 'x'}",
}


@pytest.mark.parametrize("line", BAD_LINES)
@pytest.mark.parametrize("last", [False, True], ids=["between", "last"])
def test_json_lines__broken_line__named_and_others_read(
    line: str, last: bool, tmp_path: Path
) -> None:
    path = tmp_path / "bill_2031-01-11T09:00:00+00:00.jsonl"
    lines = [body(), body(), BAD_LINES[line]] if last else [body(), BAD_LINES[line], body()]
    path.write_bytes(b"\n".join(lines))
    expect(Looked(path), f"{path.name}#{3 if last else 2}", "", good=2)


@pytest.mark.parametrize("content", [b"", b"\n\n\n", b"  \r\n", b"\r\n\r\n"])
def test_json_lines__empty__nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bill.jsonl").write_bytes(content)
    looked = Looked(tmp_path / "bill.jsonl")
    assert (looked.good, looked.errors) == ([], {})


def test_json_lines__windows_ends_and_none_at_the_last__all_read(tmp_path: Path) -> None:
    (tmp_path / "bill.jsonl").write_bytes(b"\r\n".join([body(), b"", body()]))
    assert Looked(tmp_path / "bill.jsonl").good == ["good"] * 2


@pytest.mark.parametrize("name", ["lines.jsonl", "bills.jsonl", "billing_x.jsonl"])
def test_json_lines__of_no_type__said(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(body())
    expect(Looked(tmp_path / name), name, "unknown-type", good=0)


# Manifests


def a_manifest(folder: Path, *bad: object, **more: object) -> Path:
    good = [file_name(), file_name()]
    for name in good:
        (folder / name).write_bytes(body())
    path = folder / "_manifest.json"
    path.write_text(json.dumps({"objects": [good[0], *bad, good[1]], **more}))
    return path


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        *((name.format("bill_1.json"), "bad-name") for name in BAD_NAMES),
        ("../{outside}", "bad-name"),
        ("{tmp}/{outside}", "bad-name"),
        ("link.json", "not-a-file"),
        ("bill_link.json", "not-a-file"),
        ("up/{outside}", "not-a-file"),
        ("bill_pipe.json", "not-a-file"),
        ("folder", "not-a-file"),
        ("bill_gone.json", "gone"),
        ("bill_1.json/x", "gone"),
        ("", "bad-name"),
        (".", "bad-name"),
        ("s3://other/bill_1.json", "bad-name"),
        ("file:///etc/passwd", "bad-name"),
        (7, "bad-name"),
        (None, "bad-name"),
        (["x"], "bad-name"),
        ({"key": "x"}, "bad-name"),
        ("bill_\ud800.json", "bad-name"),
        ("bill_\0.json", "bad-name"),
    ],
)  # fmt: skip
def test_manifest__object_that_is_none_or_outside__named_and_others_read(
    bad: Any, reason: str, outside: Path
) -> None:
    folder = outside.parent / "in"
    (folder / "link.json").symlink_to(outside)
    (folder / "bill_link.json").symlink_to(outside)
    (folder / "up").symlink_to(outside.parent)
    (folder / "folder").mkdir()
    os.mkfifo(folder / "bill_pipe.json")
    if isinstance(bad, str) and "{" in bad:
        bad = bad.format(outside=outside.name, tmp=outside.parent)
    looked = Looked(a_manifest(folder, bad))
    expect(looked, "", reason)
    if isinstance(bad, str) and bad.isprintable() and len(bad) < 200:
        assert bad in looked.errors


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"7", b"null", b'"x"', b"{}", b'{"objects": {}}', b'{"objects": []}',
        b'{"objects": "wy/x"}', b'{"objects": null}', b"[" * 99_999, b"\xff\xfe",
        b'{"objects": ["x"], "run_id": 7}', b'{"objects": ["x"], "run_id": "x"}',
        b'{"objects": ["x"], "run_id": ["x"]}',
    ],
    ids=range(16),
)  # fmt: skip
def test_manifest__is_none__one_error_that_names_it(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "_manifest.json").write_bytes(content)
    with pytest.raises(NoSource, match=r"_manifest\.json"):
        open_source(str(tmp_path / "_manifest.json"))


def test_manifest__file_that_is_none_of_ours__named_since_the_run_is_not_whole_without_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "bill-1.json").write_bytes(body())
    (tmp_path / "committees").mkdir()
    (tmp_path / "committees" / "1.yml").write_text("{}")
    expect(Looked(a_manifest(tmp_path, "bill-1.json")), "bill-1.json", "bad-name")
    harmless = a_manifest(tmp_path, "_manifest.json", "committees/1.yml")
    assert Looked(harmless).errors == {}


def test_manifest__one_key_twice__read_once(tmp_path: Path) -> None:
    (tmp_path / "bill_1.json").write_bytes(body())
    assert Looked(a_manifest(tmp_path, "bill_1.json", "bill_1.json")).good == ["good"] * 3


# Folders


def links_out(folder: Path, outside: Path) -> str:
    (folder / "bill_link.json").symlink_to(outside)
    return "bill_link.json"


def links_nowhere(folder: Path, outside: Path) -> str:
    (folder / "bill_link.json").symlink_to("nowhere")
    return "bill_link.json"


def links_itself(folder: Path, outside: Path) -> str:
    (folder / "bill_link.json").symlink_to("bill_link.json")
    return "bill_link.json"


def is_a_pipe(folder: Path, outside: Path) -> str:
    os.mkfifo(folder / "bill_pipe.json")
    return "bill_pipe.json"


def archive_links_out(folder: Path, outside: Path) -> str:
    tar_of(outside.parent / "a.tgz", lambda tar: None)
    (folder / "a.tgz").symlink_to(outside.parent / "a.tgz")
    return "a.tgz"


def has_a_bad_name(folder: Path, outside: Path) -> str:
    Path(os.fsdecode(os.fsencode(folder) + b"/bill_\xff.json")).write_bytes(body())
    return "bill_"


@pytest.mark.parametrize(
    "make",
    [links_out, links_nowhere, links_itself, is_a_pipe, archive_links_out, has_a_bad_name],
)
def test_folder__entry_that_is_no_file_or_outside__named_and_others_read(
    make: Callable[[Path, Path], str], outside: Path
) -> None:
    folder = outside.parent / "in"
    for _ in "12":
        (folder / file_name()).write_bytes(body())
    name = make(folder, outside)
    expect(Looked(folder), name, "")


def test_folder__link_to_a_folder_outside_or_around__not_followed(outside: Path) -> None:
    folder = outside.parent / "in"
    (folder / file_name()).write_bytes(body())
    (folder / "up").symlink_to(outside.parent)
    (folder / "round").symlink_to(folder)
    looked = Looked(folder)
    assert (looked.good, looked.errors) == (["good"], {})


def test_source__one_file_that_is_a_link__read_as_its_user_says(outside: Path) -> None:
    link = outside.parent / "in" / "bill_1.json"
    link.symlink_to(outside)
    assert Looked(link).good == ["not ours"]


# Stores


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        *((name.format("bill_1.json"), "bad-name") for name in BAD_NAMES),
        ("bill_gone.json", "gone"),
        ("bill_link.json", "gone"),
        ("up/bill_1.json", "gone"),
        (7, "bad-name"),
    ],
)
def test_manifest_in_a_store__object_that_is_none_or_outside__named_and_others_read(
    bad: Any, reason: str, outside: Path
) -> None:
    folder = outside.parent / "in"
    (folder / "bill_link.json").symlink_to(outside)
    (folder / "up").symlink_to(outside.parent)
    path = a_manifest(folder, bad)
    expect(Looked(path.as_uri()), "", reason)


def test_store__archive_too_large_to_fetch__said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_archive(tmp_path / "a.tgz")
    # What has changed just now may still be written.
    os.utime(tmp_path / "a.tgz", (0, 0))
    monkeypatch.setattr(store_tree, "MOST_FETCHED", 10)
    expect(Looked((tmp_path / "a.tgz").as_uri()), "a.tgz", "too-large", good=0)


@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_store__archive__read_as_from_a_disk(kind: str, tmp_path: Path) -> None:
    an_archive(tmp_path / f"a.{kind}")
    os.utime(tmp_path / f"a.{kind}", (0, 0))
    assert Looked(tmp_path.as_uri()).good == ["good"] * 3


def test_folder__of_a_store__metadata_in_its_files_is_no_content(tmp_path: Path) -> None:
    stamp = "2031-01-01T00:00:00+00:00"
    name = file_name()
    FolderStore(str(tmp_path)).put(f"failed/wy/{name}", body(), {"scraped-at": stamp})
    assert Looked(tmp_path / "failed").good == ["good"]
    [volume] = open_source(str(tmp_path / "failed")).volumes()
    [member] = [entry for entry in volume.entries() if isinstance(entry, Member)]
    found = volume.read(member, MOST)
    assert (found.scraped_at, found.stored_at) == (parse_time(stamp, aware(0)), found.changed_at)
