"""Replaces itself with a program that cannot outlive its parent.

    python launch.py PARENT_PID UID:GID|- PROGRAM [ARGUMENT ...]

This is a separate script, run by path in the child, because `preexec_fn` can deadlock in a process
with threads. The order matters: the kernel clears the death signal when the user changes.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, account: str, program: str, *arguments: str) -> None:
    """Switch to `account`, ask for SIGINT when the parent dies, and become `program`.

    Only Linux has the death signal; elsewhere the parent must stop its child itself.
    """
    if account != "-":
        uid, gid = (int(part) for part in account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != int(parent):
            sys.exit("the parent died before its child was ready")
    os.execv(program, [program, *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
