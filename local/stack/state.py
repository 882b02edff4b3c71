"""What the stack remembers between starts: its ports and its secrets, in one file that only its owner may read."""

import base64
import contextlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import psutil

from local.errors import LocalError
from local.process import free_port, port_is_free, server_account
from upkeep import settings
from upkeep.model import ENGINES

# Every port of the stack. Tasks' and triggers' logs are read through ``logs`` while they run.
PORTS = (
    "web",
    *ENGINES,
    "tidb_status",
    "logs",
)
PREFERRED = {"web": 8080}  # the address that people try first
SECRETS = (
    "admin",
    "viewer",
    *ENGINES,
    "airflow",
    "pipeline",
    "upkeep_control",
    "jwt",
    "session",
)


@dataclass
class State:
    """Ports and secrets by name."""

    ports: dict[str, int]
    secrets: dict[str, str]
    fernet: str

    @classmethod
    def load(cls) -> Self:
        """Return what was remembered.

        Raises
        ------
        LocalError
            When the stack was never started here, or the file is damaged or another user's.
        """
        path = state_file()
        try:
            data = json.loads(path.read_text())
            return cls(data["ports"], data["secrets"], data["fernet"])
        except FileNotFoundError as error:
            message = "the stack has never been started here: `make run` first"
            raise LocalError(message) from error
        except PermissionError as error:
            message = f"{path} belongs to another user: stop the stack as that user, or set UPKEEP_STATE_DIR"
            raise LocalError(message) from error
        except (ValueError, KeyError) as error:
            message = f"{path} is damaged: `make clean` starts afresh (the local sample data is made again)"
            raise LocalError(message) from error

    def save(self) -> None:
        """Write the file, readable by its owner alone from the first byte."""
        write_private(state_file(), json.dumps(asdict(self), indent=1))


def state_file() -> Path:
    """Return the file of ports and secrets."""
    return settings.state_dir() / "stack.json"


def make_state_dir() -> Path:
    """Create the state directory, or close an older one to others, and return it.

    Raises
    ------
    LocalError
        When it cannot be written, or is too long for the Unix sockets in it.
    """
    folder = settings.state_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _close_to_others(folder)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        message = f"cannot write {folder}: {error.strerror}. Choose another place: UPKEEP_STATE_DIR=/somewhere/writable"
        raise LocalError(message) from error
    if len(str(folder)) > 70:  # noqa: PLR2004 - 108 bytes for a socket's path, less the longest name below the folder
        message = f"{folder} is too long a path for Unix sockets: set UPKEEP_STATE_DIR to a shorter one"
        raise LocalError(message)
    return folder


def _close_to_others(folder: Path) -> None:
    """Let nobody else in; the servers' account, where it is another one, may pass but not look around."""
    if os.geteuid() == 0:
        os.chown(folder, 0, server_account().gid)
        folder.chmod(0o710)
    else:
        folder.chmod(0o700)
    ours = (folder / state_file().name).exists()  # else somebody's folder: what lies in it is not ours to close
    for entry in [*folder.iterdir(), *(folder / "logs").glob("*")] if ours else ():
        if not entry.is_symlink() and not entry.is_socket():
            with contextlib.suppress(FileNotFoundError):  # supervisor renames its logs
                entry.chmod(0o700 if entry.is_dir() else 0o600)


def write_private(path: Path, text: str) -> None:
    """Replace a file's text at once; nobody else may read it, not even while it is written."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    fresh.replace(path)


def remembered() -> State | None:
    """Return what was remembered, or None before the first start; LocalError as `State.load`."""
    return State.load() if state_file().exists() else None


def load_or_create() -> State:
    """Return what was remembered, made up where it is new, and saved."""
    state = remembered() or State({}, {}, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    for name in SECRETS:
        state.secrets.setdefault(name, secrets.token_urlsafe(15))
    state.ports = {name: port for name, port in state.ports.items() if name in PORTS}
    taken = set(state.ports.values())
    for name in PORTS:
        if name not in state.ports:
            state.ports[name] = _new_port(name, taken)
            taken.add(state.ports[name])
    state.save()
    return state


def _new_port(name: str, taken: set[int]) -> int:
    preferred = PREFERRED.get(name)
    if preferred and preferred not in taken and port_is_free(preferred):
        return preferred
    while (port := free_port()) in taken:
        pass
    return port


def check_ports(state: State, own_pids: set[int]) -> None:
    """Refuse to start on a port that a foreign process listens on.

    Parameters
    ----------
    state
        The remembered ports.
    own_pids
        Processes of this stack, which may of course listen.

    Raises
    ------
    LocalError
        Naming the port, who has it as far as this user may know, and the remedy.
    """
    for name, port in state.ports.items():
        if port_is_free(port):
            continue
        pid = listener(port)
        if pid in own_pids:
            continue
        owner = f"process {pid} ({psutil.Process(pid).name()})" if pid else "a process of another user"
        message = (
            f"port {port}, which this stack used for {name}, is taken by {owner}. Stop that, or choose new ports:"
            " .venv/bin/python -m local up --new-ports"
        )
        raise LocalError(message)


def listener(port: int) -> int | None:
    """Return the process that listens on ``port``, as far as this user may see it."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            return connection.pid
    return None
