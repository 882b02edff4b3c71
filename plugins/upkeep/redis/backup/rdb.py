"""What an RDB file says of itself: redis-check-rdb reads all of it, value by value, and compares the checksum.

It says how many keys there are in all. How many each database has stands in the file itself, right behind where the
database begins: the server writes it at the instant of the snapshot.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from upkeep import programs
from upkeep.errors import NotAvailableError
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.verify import DamagedError

CHECKER: Final = "redis-check-rdb"
_SERVER: Final = "redis-server"
"""The same program by its other name: before 7.0 the checker does not tell its version."""
FILE: Final = "dump.rdb"
_BEGIN: Final = re.compile(rb"[A-Z]+(\d+)$")
_FIELD: Final = re.compile(r"AUX FIELD (\S+) = '(.*)'$")
_DATABASE: Final = re.compile(r"\[offset (\d+)\] Selecting DB ID (\d+)$")
_KEYS: Final = re.compile(r"\[info\] (\d+) keys read$")
_SIZES: Final = 0xFB
_WIDE: Final = {0x80: 4, 0x81: 8}


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file.

    Attributes
    ----------
    fields
        What the server wrote of itself (``redis-ver``, ``ctime``, ``repl-id`` …).
    keys
        Database → its keys at the snapshot, those whose time to live was over among them.
    """

    fields: Mapping[str, str]
    keys: Mapping[int, int]


def checker(major: int) -> Path:
    """Return the checker of the server's version. Raises `NotAvailableError` when there is none here."""
    return programs.find(CHECKER, major=major, twin=_SERVER)


def form(path: Path) -> int:
    """Return the version of the format that a file is in; 0: it cannot be read, or does not begin so."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        found = _BEGIN.match(file.read(9))
        return int(found[1]) if found else 0
    return 0


def read(path: Path, bench: Bench, major: int) -> Content:
    """Read a whole file.

    Raises
    ------
    DamagedError
        It is not as the server wrote it.
    NotAvailableError
        There is no checker of the server's version here.
    """
    lines: list[str] = []

    def listen(line: str) -> str:
        lines.append(line.strip())
        return "" if "key '" in line else line  # it names the key at which it stopped

    command = [str(checker(major)), str(path)]
    done = bench.run(command, clean=listen)
    if "RDB format version" in done.text:
        raise NotAvailableError(f"{CHECKER} here is older than the server: install the server's version of it")
    if done.status:
        trouble = [line for line in done.lines if "ERROR" in line.upper() or "CRC" in line]
        raise DamagedError(f"cannot be read: {'; '.join(trouble[-2:] or done.lines[-1:]) or 'no word of it'}")
    fields = {found[1]: found[2] for line in lines if (found := _FIELD.search(line))}
    keys = _keys(path, lines)
    total = sum(int(found[1]) for line in lines if (found := _KEYS.search(line)))
    if sum(keys.values()) != total:
        raise DamagedError(f"says that it has {sum(keys.values()):,} keys, and has {total:,}")
    return Content(fields, keys)


def _keys(path: Path, lines: Iterable[str]) -> dict[int, int]:
    with path.open("rb") as file:
        return {
            int(found[2]): _size(file, int(found[1])) for line in lines if (found := _DATABASE.search(line)) is not None
        }


def _size(file: IO[bytes], offset: int) -> int:
    file.seek(offset)
    if file.read(1) != bytes([_SIZES]):
        raise DamagedError(f"does not say at {offset} how many keys the database has")
    first = file.read(1)[0]
    if first in _WIDE:
        return int.from_bytes(file.read(_WIDE[first]), "big")
    return (first & 0x3F) << 8 | file.read(1)[0] if first & 0x40 else first & 0x3F
