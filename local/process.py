"""Starting programs: as which account, with whose death they die, and where they may write.

PostgreSQL refuses to run as root, so that root's servers all run as an unprivileged account. Every child is
started through ``setpriv`` (util-linux): it changes the account and asks the kernel to stop the child when
its starter dies, which keeps a killed test run from leaving servers behind.
"""

import fcntl
import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError


@dataclass(frozen=True)
class Account:
    """A user of this machine, by name and numbers."""

    name: str
    uid: int
    gid: int
    group: str


def server_account() -> Account:
    """Return the account that servers run as: ourselves, or for root ``postgres`` if it exists, else ``nobody``."""
    if os.geteuid() != 0:
        entry = pwd.getpwuid(os.geteuid())
    else:
        names = {user.pw_name: user for user in pwd.getpwall()}
        entry = names.get("postgres") or names["nobody"]
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, grp.getgrgid(entry.pw_gid).gr_name)


def owned_directory(path: Path, mode: int = 0o700) -> Path:
    """Create a directory that belongs to the servers' account, reachable by it, and return it.

    Raises
    ------
    LocalError
        When the directory cannot be created, or the account cannot enter a folder above it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            account = server_account()
            os.chown(path, account.uid, account.gid)
        path.chmod(mode)
    except OSError as error:
        message = f"cannot create {path}: {error.strerror}. Choose another place: UPKEEP_STATE_DIR=/somewhere/writable"
        raise LocalError(message) from error
    if os.geteuid() == 0:
        _check_reachable(path)
    return path


def _check_reachable(path: Path) -> None:
    account = server_account()
    for parent in path.resolve().parents:
        status = parent.stat()
        passes = 0o100 if status.st_uid == account.uid else 0o010 if status.st_gid == account.gid else 0o001
        if not status.st_mode & passes:
            message = (
                f"{path} is below {parent}, which {account.name} may not enter, but servers started by root run as "
                f"that: chmod o+x {parent}, or set UPKEEP_STATE_DIR to another place"
            )
            raise LocalError(message)


def temporary_directory() -> Path:
    """Return a new directory below the system's temporary folder that the servers' account owns.

    pytest's own temporary folders do not serve: for root they are closed to every other account. The name is
    short because the path of a Unix socket must stay below 108 bytes.
    """
    return owned_directory(Path(tempfile.mkdtemp(prefix="upkeep-")))


def as_account(command: Sequence[str | Path], *, tied: bool = True) -> list[str]:
    """Return ``command`` so that it runs as the servers' account.

    Parameters
    ----------
    command
        The program and its arguments.
    tied
        Stop the program (SIGINT) when the thread that started it ends. Only honoured in the main thread:
        the kernel watches the thread, not the process, and a server restarted by a helper thread must
        outlive it.
    """
    prefix: list[str] = []
    if os.geteuid() == 0:
        account = server_account()
        prefix += [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
    if tied and threading.current_thread() is threading.main_thread():
        prefix += ["--pdeathsig", "INT"]
    words = [str(word) for word in command]
    setpriv = shutil.which("setpriv")
    if not prefix:
        return words
    if setpriv is None:
        if os.geteuid() == 0:
            message = "setpriv (package util-linux) is missing: install it, or run as an ordinary user"
            raise LocalError(message)
        return words
    return [setpriv, *prefix, *words]


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program to its end and return its standard output.

    Raises
    ------
    LocalError
        When it is not there or fails; the message carries the end of what it printed.
    """
    words = [str(word) for word in command]
    try:
        result = subprocess.run(words, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        message = f"{words[0]} is not on this machine: install it, or put it on PATH"
        raise LocalError(message) from error
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-15:])
        message = f"failed with status {result.returncode}: {' '.join(words[:6])}\n{tail}"
        raise LocalError(message)
    return result.stdout


def with_libraries(folders: str) -> dict[str, str]:
    """Return this process's environment with the shared libraries of ``folders`` (a list like PATH) findable."""
    found = [part for part in (folders, os.environ.get("LD_LIBRARY_PATH")) if part]  # an empty one is where we stand
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(found)} if found else dict(os.environ)


def free_port() -> int:
    """Return a TCP port that nobody listens on at 127.0.0.1 right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Say whether 127.0.0.1:``port`` can be listened on now (a port just left by a stopped server counts as free)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold an inter-process lock on ``path`` for the duration of the block; released by the kernel if we die."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def reachable_cache(path: Path) -> Path:
    """Create a folder of the cache (readable by the servers' account) and return it.

    Raises
    ------
    LocalError
        When it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot create {path}: {error.strerror}. Choose another place: UPKEEP_CACHE_DIR=/somewhere/writable"
        raise LocalError(message) from error
    return path


def give_to_account(path: Path, mode: int = 0o600) -> None:
    """Make a file readable by the servers' account and by nobody else."""
    path.chmod(mode)
    if os.geteuid() == 0:
        account = server_account()
        os.chown(path, account.uid, account.gid)
