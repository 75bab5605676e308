"""Runs a program and says what it took: `python measured.py RESULT PROGRAM [ARGUMENT ...]`.

A small process of its own: what the kernel calls the peak of a program includes that of the
process that started it. RESULT receives one JSON object; the program's status is passed on.
"""

import json
import os
import sys
import time


def main(result: str, *command: str) -> int:
    start = time.perf_counter()
    pid = os.spawnvpe(os.P_NOWAIT, command[0], list(command), os.environ)
    _, status, used = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    # The unit is the kibibyte on Linux, the byte on macOS.
    peak = used.ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)
    figures = {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_mib": peak}
    with open(result, "w") as file:
        json.dump(figures, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
