"""Becomes another program that cannot outlive its parent.

    python launch.py PARENT_PID UID:GID|- PROGRAM [ARGUMENT ...]

A script of its own, run by path in a child: the order matters (the kernel forgets the death
signal when the user changes), and doing this between fork and exec of a process with threads,
as `preexec_fn` does, can deadlock.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, account: str, program: str, *arguments: str) -> None:
    """Drop to `account`, ask to be interrupted when the parent dies, become `program`.

    The death signal is Linux's; elsewhere the parent has to stop its child itself.
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
