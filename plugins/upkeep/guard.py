"""Stands between us and a program: nothing of it outlives us, however we die.

Started by path (``python -I -S guard.py PARENT STOP GRACE UID GID PROGRAM …``), so it imports nothing of ours. It
starts the program in a session of its own, and ends when the program does, with its status. It ends the program when it
is told to (SIGTERM), or when its own parent is gone: first with the signal STOP, after GRACE seconds with SIGKILL; and
with SIGKILL whatever the program itself left behind.

The kernel can end a child with its parent (PR_SET_PDEATHSIG), but it watches the thread that started it, and threads
come and go. So the guard, which has one thread, looks at who its parent is, asks the kernel to end the program should
the guard itself be killed, and adopts what the program leaves (PR_SET_CHILD_SUBREAPER): a child of a child is found,
also one that went into a session of its own.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PDEATHSIG = 1
_SUBREAPER = 36
_LOOK_SECONDS = 0.2
"""How often it looks whether its parent is still there."""
_CANNOT_START = 127
_WATCHED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(words: list[str]) -> int:
    """Run the program to its end, or to ours, and return its status (128 + n: ended by signal n)."""
    parent, stop, grace = int(words[0]), int(words[1]), float(words[2])
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    guard = os.getpid()
    if os.getppid() != parent:  # it was killed before we came this far
        return _CANNOT_START
    child = os.fork()
    if child == 0:
        _become(libc, guard, int(words[3]), int(words[4]), words[5:])
    kill_at: float | None = None
    while True:
        told = signal.sigtimedwait(_WATCHED, _LOOK_SECONDS)
        status = _reap(child)
        if status is not None:
            _end_the_rest()
            return status
        over = os.getppid() != parent or (told is not None and told.si_signo != signal.SIGCHLD)
        if kill_at is None and over:
            kill_at = time.monotonic() + grace
            _signal(child, stop)
        if kill_at is not None and time.monotonic() >= kill_at:
            _signal(child, signal.SIGKILL)


def _become(libc: ctypes.CDLL, guard: int, uid: int, gid: int, command: list[str]) -> None:
    """Turn into the program: as its user, in its session, ended by the kernel when the guard is killed."""
    try:
        os.setsid()
        os.umask(0o077)
        if uid >= 0:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(_CANNOT_START)
        for ignored in (signal.SIGPIPE, signal.SIGINT):
            signal.signal(ignored, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execvp(command[0], command)  # noqa: S606 - a list that our caller chose, no shell
    except OSError as error:
        os.write(2, f"{command[0]} cannot be started: {error.strerror}\n".encode())
    finally:
        os._exit(_CANNOT_START)


def _signal(child: int, number: int) -> None:
    """Send a signal to the program's group; to the child alone while it is not yet in one of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        try:
            os.killpg(child, number)
        except ProcessLookupError:
            os.kill(child, number)


def _reap(child: int) -> int | None:
    """Take in all that have ended; return the program's status once it has."""
    found: int | None = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
                found = code if code >= 0 else 128 - code
    return found


def _end_the_rest() -> None:
    """Kill what the program left: its children are ours now."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in _children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)


def _children() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name in parentheses may hold anything, blanks and parentheses too: what counts comes after it.
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                    found.append(int(entry.name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
