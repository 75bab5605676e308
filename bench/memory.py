"""Peak memory of one import: `python -m bench.memory core|ours JURISDICTION < OBJECTS`.

A process of its own for each import: after an import, a process already holds memory that the next
one would need.
"""

import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.programs import ROOT, environment

_STATUS = Path("/proc/self/status")


def peaks(
    who: str, database_url: str, jurisdiction_id: str, contents: Mapping[str, bytes]
) -> dict[str, float]:
    """Peak MiB of each import, made one after the other, above a process that has only read the
    objects."""
    found = {}
    variables = environment(DATABASE_URL=database_url)
    for name, content in contents.items():
        command = [sys.executable, "-m", "bench.memory", who, jurisdiction_id]
        result = subprocess.run(
            command, input=content, env=variables, cwd=ROOT, capture_output=True, check=False
        )
        if result.returncode:
            raise RuntimeError(f"{command!r} failed: {result.stderr[-2000:]!r}")
        found[name] = float(result.stdout)
    return found


def main(who: str, jurisdiction_id: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    import django

    django.setup()
    from django.db import connection, transaction

    from bench import importing

    classes = {"core": importing.CORE, "ours": importing.OURS}[who]
    scrape = pickle.loads(sys.stdin.buffer.read())
    connection.ensure_connection()
    before = _reset_peak()
    with transaction.atomic():
        importing.import_all(classes, jurisdiction_id, scrape)
    print(_peak() - before)


def _reset_peak() -> float:
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    return _peak()


def _peak() -> float:
    """Peak memory in MiB since the last reset, or since the start where that cannot be reset."""
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
