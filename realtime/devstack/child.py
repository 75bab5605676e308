"""Server processes that end with the process that started them."""

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
    """Start `command` as `account`, its output appended to `log`, in the folder of `log`.

    It has next to no environment, or the one given. On Linux it receives SIGINT when this process
    ends, however it ends. `started` is called with the process even when the caller is interrupted
    (KeyboardInterrupt) before this returns. Raises StackError when it cannot be started.

    The kernel takes the *thread* that started a child for its parent, so the thread that does it
    here waits for the child, and the caller's own may end when it likes.
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
                    # Ctrl-C in a terminal is for us alone: we stop the child in our time.
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
