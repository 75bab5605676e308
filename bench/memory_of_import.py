"""Peak memory of one import: `python -m bench.memory_of_import core|ours ID < OBJECTS`."""

import os
import pickle
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


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
