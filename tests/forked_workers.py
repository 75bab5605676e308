"""Runs several `import_realtime` at once, forked from one process that has loaded its modules.

    python -m tests.forked_workers COUNT FOLDER [OPTION ...]

Worker N writes its output to FOLDER/N.out and FOLDER/N.err, its exit status to FOLDER/N.status.
"""

import os
import sys
from pathlib import Path

import django
from django.core.management import execute_from_command_line, load_command_class


def main(count: str, folder: str, *options: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    django.setup()
    load_command_class("realtime", "import_realtime")
    children = [
        pid for number in range(int(count)) if (pid := _fork(Path(folder), number, options))
    ]
    for pid in children:
        os.waitpid(pid, 0)


def _fork(folder: Path, number: int, options: tuple[str, ...]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 0
    for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
        target = os.open(folder / f"{number}.{name}", os.O_WRONLY | os.O_CREAT)
        os.dup2(target, stream.fileno())
    try:
        execute_from_command_line(["manage.py", "import_realtime", *options])
    except SystemExit as exc:
        status = int(exc.code or 0)
    sys.stdout.flush()
    (folder / f"{number}.status").write_text(str(status))
    os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
