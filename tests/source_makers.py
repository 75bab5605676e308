"""Makes sources of each kind from scraped files, for tests of `--from`."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests import scrapes

RUN = "01d5bf2e-3d0b-4b0c-9f4f-1f4f2ac6a111"
LAKE = "country:us/state:wy/government/2031-01"

# By name in `_data/wy/`.
Files = Mapping[str, bytes]


def named(*files: dict[str, object]) -> dict[str, bytes]:
    """Files as core writes them into `_data/wy/`."""
    found = {}
    for data in files:
        name = f"{scrapes.type_of(data)}_{data['_id']}".replace("/", "-")
        found[f"{name}.json"] = json.dumps(data).encode()
    return found


def folder(files: Files, at: Path) -> Path:
    (at / "_data/wy").mkdir(parents=True)
    for name, body in files.items():
        (at / "_data/wy" / name).write_bytes(body)
    return at / "_data"


def manifest(files: Files, at: Path) -> Path:
    """A manifest as those who publish a whole scrape write it, with whole keys."""
    (at / "bucket/wy").mkdir(parents=True)
    for name, body in files.items():
        (at / "bucket/wy" / name).write_bytes(body)
    path = at / "bucket/wy/_manifest.json"
    path.write_text(json.dumps({"run_id": RUN, "source": "wy", "objects": keys(files)}))
    return path


def keys(files: Files) -> list[str]:
    return [f"wy/{name}" for name in files]


def json_lines(files: Files, at: Path) -> Path:
    """Lines as core's own `--realtime` leaves them, two files of each type."""
    for relative, lines in in_lake(files).items():
        (at / "lake" / relative).parent.mkdir(parents=True, exist_ok=True)
        (at / "lake" / relative).write_bytes(lines)
    return at / "lake"


def in_lake(files: Files) -> dict[str, bytes]:
    found: dict[str, list[bytes]] = {}
    for number, (name, body) in enumerate(files.items()):
        kind = name.rpartition("_")[0]
        at = f"{kind}/{LAKE}/{kind}_2031-01-11T09:{15 * (number % 2):02}:00.5+00:00.jsonl"
        found.setdefault(at, []).append(body + b"\n")
    return {at: b"".join(lines) for at, lines in found.items()}


def tgz(files: Files, at: Path) -> Path:
    path = at / "wy.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        top = tarfile.TarInfo("wy")
        top.type = tarfile.DIRTYPE
        tar.addfile(top)
        for name, body in files.items():
            member = tarfile.TarInfo(f"wy/{name}")
            member.size, member.mtime = len(body), 1_900_000_000
            tar.addfile(member, io.BytesIO(body))
    return path


def zipped(files: Files, at: Path) -> Path:
    path = at / "wy.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(f"_data/wy/{name}", body)
    return path


ON_DISK: dict[str, Callable[[Files, Path], Path]] = {
    "folder": folder,
    "manifest": manifest,
    "json lines": json_lines,
    "tgz": tgz,
    "zip": zipped,
}
