"""Starts server processes that end with this process."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from realtime.devstack import launch
from realtime.devstack.errors import StackError
from realtime.devstack.workspace import Account


def spawn(
    command: Sequence[str],
    account: Account | None,
    log: Path,
    started: Callable[[subprocess.Popen[bytes]], None],
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` as `account`, in the folder of `log`, with its output appended to `log`.

    It gets `environment`, by default only LC_ALL and PATH. On Linux it receives SIGINT when this
    process ends, however that happens. `started` is called with the process even when the caller
    is interrupted (KeyboardInterrupt) before this returns. Raises StackError when the command
    cannot be started.

    Linux sends that signal when the *thread* that started the child ends. So a thread of its own
    starts the child and waits for it, and the caller's thread may end at any time.
    """
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(account or "-")]
    answer: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()

    def start_and_wait() -> None:
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    [*launcher, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment or {"LC_ALL": "C", "PATH": os.defpath},
                    cwd=log.parent,
                    # Keep a terminal's Ctrl-C from the child: its owner stops it in order.
                    start_new_session=True,
                )
        except OSError as error:
            answer.put(error)
            return
        started(process)
        answer.put(process)
        process.wait()

    threading.Thread(target=start_and_wait, name=Path(command[0]).name, daemon=True).start()
    result = answer.get()
    if isinstance(result, OSError):
        raise StackError(f"{command[0]} cannot be run: {result}") from result
    return result
