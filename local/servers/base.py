"""What all servers have in common: start, wait until it answers, stop cleanly, kill hard."""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psutil

from local.errors import LocalError
from local.process import as_account, owned_directory

START_TIMEOUT = 60.0  # seconds; a cold disk and two busy cores still manage PostgreSQL in five
STOP_TIMEOUT = 30.0  # seconds; after that the server is killed, loudly


class Server(ABC):
    """A server process of ours on 127.0.0.1, with its files below one directory.

    Parameters
    ----------
    directory
        Where its data, configuration and log go; created if needed, owned by the servers' account.
    port
        The TCP port to listen on.
    password
        The password of its only user.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    host: ClassVar[str] = "127.0.0.1"

    def __init__(self, directory: Path, *, port: int, password: str) -> None:
        self.directory = owned_directory(directory)
        self.port = port
        self.password = password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def user(self) -> str:
        """The user to log in as; empty where the server knows none."""

    @abstractmethod
    def uri(self, database: str = "") -> str:
        """Return the connection URI, password included."""

    @abstractmethod
    def prepare(self) -> None:
        """Create the data directory and configuration if they are missing."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the program and arguments that run the server in the foreground."""

    @abstractmethod
    def probe(self) -> None:
        """Return if the server answers a logged-in request; raise any exception if not (yet)."""

    def environment(self) -> dict[str, str] | None:
        """Return the environment of the server; None: ours."""
        return None

    def after_start(self) -> None:  # noqa: B027 - most servers need nothing
        """Do what a first start needs once the server answers (a replica set, a password)."""

    @property
    def log(self) -> Path:
        """The file that the server's output goes to."""
        return self.directory / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process id, or None when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the server and return when it answers.

        Raises
        ------
        LocalError
            When it ends or does not answer in time; the message carries the end of its log.
        """
        if self.pid is not None:
            return
        self.prepare()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                as_account(self.command()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                cwd=self.directory,
                start_new_session=True,  # Ctrl-C in the terminal is for the tests, which then stop us in order
            )
        self._wait()
        self.after_start()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        reason: Exception | None = None
        while time.monotonic() < deadline:
            if self.pid is None:
                break
            try:
                self.probe()
            except Exception as error:  # noqa: BLE001 - every driver has its own "not yet"
                reason = error
                time.sleep(0.05)
            else:
                return
        self.kill()
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        message = f"{self.name} did not start on port {self.port} ({reason}). The end of {self.log}:\n{tail}"
        raise LocalError(message)

    def stop(self) -> None:
        """Stop the server cleanly and wait for its end; kill it when it does not end in time."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(self.stop_signal)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process = process
            self.kill()

    def kill(self) -> None:
        """End the server and all its child processes at once with SIGKILL, as a power failure of it would."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        process.wait()
        psutil.wait_procs(family, timeout=STOP_TIMEOUT)

    def restart(self) -> None:
        """Stop (if it runs) and start again, on the same port and data."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
