"""What lies in a dump's directory: which file holds which table's rows, and how many."""

from __future__ import annotations

import contextlib
import gzip
import re
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from upkeep.errors import ConfigurationError
from upkeep.jobs.backup.copier import Bench
from upkeep.jobs.backup.manifest import Contents, Manifest
from upkeep.jobs.backup.verify import DamagedError
from upkeep.postgres import names
from upkeep.postgres.backup import tools

LARGE_OBJECTS: Final = "large objects"
SEQUENCE: Final = "sequence"
"""The kind of what a dump sets to a value."""
_ENTRY: Final = re.compile(r"^(\d+); (\d+) (\d+) (.*)$")
_ROWS: Final = "TABLE DATA "
_SET: Final = "SEQUENCE SET "
_SETVAL: Final = re.compile(rb"^SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d+), (true|false)\);", re.MULTILINE)
_ENCODING: Final = re.compile(rb"^SET client_encoding = '(\w+)';", re.MULTILINE)
_CODECS: Final = {"sql_ascii": "utf-8", "euc_cn": "gb2312", "koi8r": "koi8-r", "koi8u": "koi8-u"}
"""Encodings that Python knows by another name; where there is none, as our sessions read it (``WIN1252``: cp1252)."""
_END: Final = b"\\.\n"
_PIECE: Final = 1 << 20
_THREADS: Final = 4
_SKIPPED: Final = re.compile(
    r"^(SERVER|USER MAPPING|EVENT TRIGGER|PUBLICATION|SUBSCRIPTION|MATERIALIZED VIEW DATA|SECURITY LABEL) "
    r"|^(COMMENT|ACL) - (EVENT TRIGGER|PUBLICATION|SUBSCRIPTION) "
)
"""What a proof leaves out: it must reach nobody, start nothing by itself, and compute nothing that was not dumped."""


def listing(place: Path, dumped_by: int, bench: Bench, into: Path) -> list[str]:
    """Return the lines of the dump's table of contents. Raises `DamagedError` when it cannot be read."""
    restorer = tools.restorer(dumped_by)
    output = bench.run([str(restorer), "--list", f"--file={into}", str(place)], clean=tools.clean)
    if output.status:
        raise DamagedError(f"pg_restore cannot read its table of contents: {output.text or output.status}")
    return into.read_text(encoding="utf-8", errors="replace").splitlines()


def for_proof(lines: list[str]) -> list[str]:
    """Return the entries that are restored for a proof."""
    kept = []
    for line in lines:
        entry = _ENTRY.match(line)
        if entry and not _SKIPPED.search(entry[4]):
            kept.append(line)
    return kept


def files(lines: list[str], tables: Mapping[int, str]) -> dict[str, str]:
    """Return which file holds the rows of which table, by the tables' object ids."""
    found = {}
    for line in lines:
        entry = _ENTRY.match(line)
        if entry and entry[4].startswith(_ROWS) and (name := tables.get(int(entry[3]))) is not None:
            found[f"{entry[1]}.dat.gz"] = name
    return found


def sequences(
    place: Path, lines: list[str], dumped_by: int, bench: Bench, folder: Path
) -> tuple[list[Contents], list[str]]:
    """Return the sequences that a dump sets, and to what: values of a sequence are in no snapshot, but in the dump.

    Parameters
    ----------
    folder
        An empty one, for what is printed.

    Returns
    -------
    tuple
        The sequences; and in words, of how many that cannot be read: then a proof does not compare them.
    """
    entries = [line for line in lines if (entry := _ENTRY.match(line)) and entry[4].startswith(_SET)]
    if not entries:
        return [], []
    wanted, said = folder / "sequences", folder / "values"
    wanted.write_text("\n".join(entries) + "\n", encoding="utf-8")
    command = [str(tools.restorer(dumped_by)), f"--use-list={wanted}", f"--file={said}", str(place)]
    output = bench.run(command, clean=tools.clean)
    found = _values(said.read_bytes()) if not output.status else []
    left = len(entries) - len(found)
    why = f" ({'; '.join(output.lines[-3:])})" if output.status and output.lines else ""
    return found, [f"proof of {left:,} sequences: they are in it, and cannot be read back{why}"] if left else []


def _values(text: bytes) -> list[Contents]:
    """Return the sequences in a script of pg_restore, which is in the encoding that it says."""
    said = _ENCODING.search(text)
    encoding = said[1].decode().lower() if said else "utf-8"
    codec = _CODECS.get(encoding, re.sub("^win", "cp", encoding))
    found = []
    for name, value, called in _SETVAL.findall(text):
        with contextlib.suppress(UnicodeDecodeError, LookupError, ConfigurationError):
            parsed = names.parse(name.decode(codec).replace("''", "'")).exact
            found.append(sequence(parsed, int(value), called=called == b"true"))
    return found


def sequence(name: names.Name, value: int, *, called: bool) -> Contents:
    """Return a sequence as a manifest has it."""
    how = "which was given out" if called else "which was not given out yet"
    return Contents(name=str(name), kind=SEQUENCE, structures=(f"stands at {value}, {how}",))


def count(place: Path, manifest: Manifest, bench: Bench) -> dict[str, int]:
    """Count the rows in the files of a backup."""
    counted = counts(place, manifest.needs["data"], bench.checkpoint)
    if manifest.object(LARGE_OBJECTS) is not None:
        counted[LARGE_OBJECTS] = large_objects(place)
    return counted


def counts(place: Path, data: Mapping[str, str], checkpoint: Callable[[], None]) -> dict[str, int]:
    """Return how many rows each table has in the dump's files, all of which are read to their ends.

    Raises
    ------
    DamagedError
        A file is cut off, or its bytes are not those that were written.
    """
    with ThreadPoolExecutor(_THREADS) as pool:  # unpacking holds no lock of Python's
        waiting = [(name, pool.submit(_count, place / file)) for file, name in data.items()]
        found = {}
        try:
            for name, one in waiting:
                while not wait([one], timeout=1).done:
                    checkpoint()
                try:
                    found[name] = one.result()
                except (OSError, EOFError, zlib.error, ValueError) as error:
                    raise DamagedError(f"the rows of {name} cannot be read: {error}") from None
        finally:
            pool.shutdown(cancel_futures=True)
    return found


def _count(path: Path) -> int:
    """Return the lines of COPY in a file: one is a row, as newlines in values are escaped."""
    lines, tail = 0, b""
    with gzip.open(path, "rb") as stream:
        while piece := stream.read(_PIECE):
            lines += piece.count(b"\n")
            tail = (tail + piece)[-64:]
    at = tail.rfind(_END)
    if at < 0 or (at > 0 and tail[at - 1 : at] != b"\n"):
        raise ValueError("its end is missing")
    return lines - tail[at:].count(b"\n")


def large_objects(place: Path) -> int:
    """Return how many large objects a dump holds."""
    total = 0
    for contents in place.glob("blobs*.toc"):
        total += sum(1 for line in contents.read_text().splitlines() if line.strip())
    return total
