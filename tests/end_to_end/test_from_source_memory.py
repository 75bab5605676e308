"""A large snapshot takes little memory."""

import io
import json
import os
import random
import subprocess
import sys
import tarfile
import threading
import uuid
from pathlib import Path

import pytest

from tests import scrapes
from tests.support import ROOT

FILES, SIZE = 5_000, 201_000


@pytest.mark.long
def test_from__archive_of_a_gigabyte__takes_under_300_megabytes(
    database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "wy.tgz"
    size = make(path)
    assert size > 10**9
    command = [sys.executable, "manage.py", "import_realtime", "--from", str(path), "--json"]
    environment = {**os.environ, "DATABASE_URL": database_url}
    output = tmp_path / "report.json"
    with output.open("wb") as stdout:
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stdout)
    peak = 0
    # Not by its resource usage: that has what its parent took when it was forked.
    while child.poll() is None:
        peak = max(peak, peak_of(child.pid))
        threading.Event().wait(0.2)
    report = json.loads(output.read_text().splitlines()[-1])
    print(f"{size:,} bytes unpacked, {peak} MB of memory, {report['seconds']['total']:.0f} s")
    assert (child.returncode, report["inserted"]) == (0, FILES)
    assert 0 < peak < 300


def peak_of(pid: int) -> int:
    """The most memory that a process has taken until now, in MB (Linux); 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0][1]) // 1024 if lines else 0


def make(path: Path) -> int:
    """Write bills to a snapshot; returns how many bytes it unpacks to."""
    rng, total = random.Random(1), 0
    words = " ".join(f"{rng.getrandbits(40):x}" for _ in range(500_000))
    bill = scrapes.bill()
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for number in range(FILES + 1):
            data = scrapes.jurisdiction()
            if number:
                start = rng.randrange(len(words) - SIZE)
                data = {**bill, "_id": str(uuid.uuid1()), "identifier": f"HB {number}"}
                data["extras"] = {"text": words[start : start + SIZE]}
            content = json.dumps(data).encode()
            name = f"{scrapes.type_of(data)}_{data['_id']}.json".replace("/", "-")
            member = tarfile.TarInfo(f"wy/{name}")
            member.size = len(content)
            total += len(content)
            tar.addfile(member, io.BytesIO(content))
    return total
