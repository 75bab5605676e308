"""Runs a program and measures it: `python measured.py RESULT PROGRAM [ARGUMENT ...]`.

Writes time, CPU time and peak memory to the file RESULT as JSON, and exits with the program's
status. A separate small process, because the kernel's peak memory of a program includes that of the
process that started it.
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
    # ru_maxrss is in KiB on Linux, in bytes on macOS.
    peak = used.ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)
    figures = {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_mib": peak}
    with open(result, "w") as file:
        json.dump(figures, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
