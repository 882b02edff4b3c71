"""Programs of others (dumps, restores, scratch servers): where they are, and running them so that nothing is left.

A program runs in a session of its own behind a guard (`upkeep.guard`), which ends it and all that it started when we
stop it and when we die, however. Passwords go by the environment or by a file, never by an argument, which everybody
on the machine can read; of our own environment, where connections of other targets lie, a program is given next to
nothing.
"""

from __future__ import annotations

import contextlib
import math
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Final

from upkeep import settings
from upkeep.errors import NotAvailableError, ProgramError, UpkeepError

CHECK_SECONDS: Final = 1.0
"""How often a running program's checkpoint is called."""
GRACE_SECONDS: Final = 10.0
"""From asking a program to end to killing it."""
VERSION_SECONDS: Final = 20.0
FAILED_SECONDS: Final = 60.0
"""So long a program that did not tell its version is not asked again: it may have hung, and many may want to know."""
KEPT_LINES: Final = 60
LONGEST_LINE: Final = 500
LONGEST_PART: Final = 1 << 16
_GUARD: Final = Path(__file__).with_name("guard.py")
_KNOWN: Final = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/bin")
"""Where packages put programs that are not on PATH, or are there by a wrapper only."""
_PASSED_ON: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "TZ"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_until: Final[ContextVar[float]] = ContextVar("until", default=math.inf)
"""When the `patience` ends."""
_failed: Final[dict[tuple[Path, str, int], tuple[float, type[UpkeepError], str]]] = {}
"""What was asked of which program in vain: until when that is remembered, and why it failed."""
_SECRET: Final = re.compile(r"(://[^/\s:@]*:)[^@\s]*@")


@dataclass(frozen=True, slots=True)
class Output:
    """What became of a program.

    Attributes
    ----------
    status
        0: fine; 128 + n: ended by signal n.
    lines
        The last lines that it printed, cleaned.
    """

    program: str
    status: int
    lines: tuple[str, ...]
    seconds: float

    @property
    def text(self) -> str:
        """The last lines, as one text."""
        return "\n".join(self.lines)

    def fine(self) -> Output:
        """Return itself. Raises `ProgramError` when the program failed."""
        if self.status:
            how = f"was ended by signal {self.status - 128}" if self.status > 128 else f"failed ({self.status})"  # noqa: PLR2004
            said = "; ".join(self.lines[-5:]) or "it said nothing"
            raise ProgramError(f"{self.program} {how}: {said}")
        return self


def candidates(name: str) -> Iterator[Path]:
    """Yield the programs called so: of `settings.tool_dirs`, of PATH, of where packages put them (newest first)."""
    named = settings.tool_dirs()
    on_path = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    known = [folder for pattern in _KNOWN for folder in sorted(Path("/").glob(pattern[1:]), key=_number, reverse=True)]
    seen = set[Path]()
    for folder in [*named, *on_path, *known]:
        path = folder / name
        # Debian's wrapper chooses a version by the clusters of this machine, which are not those that we mean.
        if path in seen or path.resolve().name == "pg_wrapper" or not os.access(path, os.X_OK) or path.is_dir():
            continue
        seen.add(path)
        yield path


def _number(folder: Path) -> int:
    return int((re.findall(r"\d+", str(folder)) or ["0"])[-1])


def find(name: str, *, major: int | None = None, twin: str | None = None) -> Path:
    """Return the program called so: the first, or where a major version is given, the newest of it.

    Parameters
    ----------
    twin
        A program of the same build in the same folder, which tells its version where ``name`` does not.

    Raises
    ------
    NotAvailableError
        It is not on this machine.
    """
    broken = list[str]()
    if major is None:
        first = next(candidates(name), None)
    else:
        fitting = [path for path, number in majors(name, broken, twin=twin).items() if number == major]
        first = newest(fitting, twin) if fitting else None
    if first is not None:
        return first
    wanted = name if major is None else f"{name} of version {major}"
    more = f" ({'; '.join(broken)})" if broken else ""
    raise NotAvailableError(f"{wanted} is not on this machine: install it, or name its folder in UPKEEP_TOOLS{more}")


def majors(name: str, broken: list[str], *, twin: str | None = None) -> dict[Path, int]:
    """Return the programs called so with their major versions; those that cannot tell it are said in ``broken``."""
    found = dict[Path, int]()
    for path in candidates(name):
        try:
            found[path] = major_of(_told(path, twin))
        except NotAvailableError as error:
            broken.append(str(error))
    return found


def _told(path: Path, twin: str | None) -> str:
    try:
        return version(path)
    except NotAvailableError:
        other = None if twin is None else path.with_name(twin)
        if other is None or not other.exists():
            raise
        return version(other)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Within the block, wait so long altogether for what programs say of their versions."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def version(path: Path, option: str = "--version") -> str:
    """Return what the program says of its version, its first line.

    Raises
    ------
    NotAvailableError
        It cannot run.
    ProgramError
        It did not answer within our `patience`.
    """
    asked, left = (path, option, path.stat().st_mtime_ns), _until.get() - time.monotonic()
    until, kind, why = _failed.get(asked, (0.0, NotAvailableError, ""))
    if time.monotonic() < until and (kind is NotAvailableError or left < VERSION_SECONDS):
        raise kind(why)
    try:
        return _version(*asked)
    except (NotAvailableError, ProgramError) as error:
        if left > 0:
            _failed[asked] = (time.monotonic() + FAILED_SECONDS, type(error), str(error))
        raise


@cache
def _version(path: Path, option: str, _: int) -> str:
    left = _until.get() - time.monotonic()
    if left <= 0:
        raise ProgramError(f"{path} {option} was not asked, for another did not answer")
    try:
        said = subprocess.run(
            [path, option],
            capture_output=True,
            text=True,
            timeout=min(left, VERSION_SECONDS),
            env=environment_of({}),
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        if isinstance(error, subprocess.TimeoutExpired) and left < VERSION_SECONDS:
            raise ProgramError(f"{path} {option} did not answer") from error
        raise NotAvailableError(f"{path} cannot be run ({type(error).__name__}): install it anew") from error
    lines = [line.strip() for line in (said.stdout or said.stderr).splitlines() if line.strip()]
    if said.returncode or not lines:
        raise NotAvailableError(f"{path} {option} fails: {lines[-1] if lines else 'it says nothing'}; install it anew")
    return lines[0]


def newest(paths: Sequence[Path], twin: str | None = None) -> Path:
    """Return the program of the newest version, of equal ones the first."""
    # A server may have written what its own minor version understands, and an older one does not.
    return max(paths, key=lambda path: _numbers(_told(path, twin)))


def _numbers(text: str) -> tuple[int, ...]:
    found = re.search(r"\d+(\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def major_of(text: str) -> int:
    """Return the major version in what a program says of its version; 0: there is none."""
    found = re.search(r"\b[vr]?(\d+)(?:\.\d+)+|\b(\d+)(?:devel|beta\d|rc\d)", text)
    return int(found[1] or found[2]) if found else 0


def environment_of(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: next to nothing of ours, and what it is given."""
    return {**{name: os.environ[name] for name in _PASSED_ON if name in os.environ}, **more}


def guarded(command: Sequence[str | Path], *, user: str | None, stop: signal.Signals = signal.SIGTERM) -> list[str]:
    """Return the command that runs ``command`` behind a guard, as another user where one is named (needs root)."""
    uid = gid = -1
    if user is not None:
        entry = pwd.getpwnam(user)
        uid, gid = (entry.pw_uid, entry.pw_gid) if entry.pw_uid != os.geteuid() else (-1, -1)
    guard = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), str(int(stop)), str(GRACE_SECONDS)]
    return [*guard, str(uid), str(gid), *map(str, command)]


def plain(line: str) -> str:
    """Return a line without control characters, bounded, without a password in a URI."""
    text = "".join(character if character.isprintable() else " " for character in line).strip()
    return _SECRET.sub(r"\1***@", text)[:LONGEST_LINE]


@dataclass
class _Heard:
    """What a program prints, taken in by threads so that it never waits for us."""

    clean: Callable[[str], str]
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    def listen(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError), stream:  # closed by us at the end
            whole = True
            while part := stream.readline(LONGEST_PART):
                # The rest of a line that is too long is left out: out of its context it could not be cleaned.
                text = plain(self.clean(part.decode(errors="replace"))) if whole else ""
                whole = part.endswith(b"\n")
                if text:
                    self.lines.append(text)


def run(
    command: Sequence[str | Path],
    *,
    checkpoint: Callable[[], None],
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
    tell: Callable[[str], None] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    clean: Callable[[str], str] = str,
) -> Output:
    """Run a program to its end.

    Parameters
    ----------
    checkpoint
        Called every second; raises when the run must stop, and then the program is ended first.
    environment
        Variables that it gets beside the few that all get.
    seconds
        Its time limit.
    tell
        Given the last line that it printed, about every second, when that is a new one.
    user
        The account that it runs as; ours where none is named.
    clean
        Takes the values of rows out of a line that it printed; an empty line is left out.

    Raises
    ------
    ProgramError
        It took longer than its limit, and was ended.
    NotAvailableError
        It is not there.
    """
    name, started = Path(command[0]).name, time.monotonic()
    if shutil.which(command[0]) is None:
        raise NotAvailableError(f"{command[0]} is not on this machine: install it, or name its folder in UPKEEP_TOOLS")
    process = subprocess.Popen(
        guarded(command, user=user),
        env=environment_of(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd or "/",
        start_new_session=True,  # Ctrl-C in the terminal is for us, who then stop it in order
    )
    heard = _Heard(clean)
    streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    threads = [threading.Thread(target=heard.listen, args=(stream,), daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    try:
        _wait(process, heard, checkpoint, tell, None if seconds is None else started + seconds)
    except TimeoutError:
        raise ProgramError(f"{name} took longer than it may ({seconds:,.0f} s), and was ended") from None
    finally:
        end(process)
        for thread in threads:
            thread.join(GRACE_SECONDS)
    return Output(name, process.returncode, tuple(heard.lines), time.monotonic() - started)


def _wait(
    process: subprocess.Popen[bytes],
    heard: _Heard,
    checkpoint: Callable[[], None],
    tell: Callable[[str], None] | None,
    until: float | None,
) -> None:
    told: str | None = None
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(CHECK_SECONDS)
            return
        checkpoint()
        if until is not None and time.monotonic() > until:
            raise TimeoutError
        last = heard.lines[-1] if heard.lines else None
        if tell is not None and last is not None and last != told:
            told = last
            tell(last)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a guarded program, and return when it and all that it started are gone."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE_SECONDS + 5)
    except subprocess.TimeoutExpired:  # the guard itself hangs: its death is the program's
        process.kill()
        process.wait()
