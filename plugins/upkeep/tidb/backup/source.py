"""Taking a backup: dumpling reads at one snapshot, which an open transaction keeps from being collected meanwhile."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import pymysql

from upkeep import programs
from upkeep.errors import ConfigurationError, NotAvailableError
from upkeep.jobs.backup.copier import Order, Survey, Taken
from upkeep.jobs.backup.manifest import Contents
from upkeep.jobs.contract import Ask
from upkeep.model import Json
from upkeep.tidb import faults, marking, protection, sql
from upkeep.tidb.backup import files
from upkeep.tidb.names import Name
from upkeep.tidb.session import TiDBSession
from upkeep.tls import Tls

TOOL: Final = "upkeep-dumpling"
THREADS: Final = 4
LACKS: Final = (
    "users and grants",
    "other databases",
    "global variables, placement, bindings, statistics",
    "what was written after the snapshot",
)
_UNSIGNED: Final = 1 << 64
NO_SNAPSHOT: Final = "one instant: an embedded store gives no snapshots, each table is as it was when it was read"


def survey(ask: Ask[TiDBSession]) -> Survey:
    """Look at the database and the tools."""
    session = ask.session
    (row,) = session.rows("backup/size", {"schema": session.database})
    return Survey(
        bytes=int(row["bytes"]),
        database=session.database,
        command=f"{TOOL} --consistency snapshot -B {session.database}",
        lock="nothing: it reads at a snapshot; old versions of rows stay until it is over",
        refusals=tuple(_refusals(session)),
        lacks=_lacks(session),
    )


def _lacks(session: TiDBSession) -> tuple[str, ...]:
    return LACKS if session.rows("backup/safe_point") else (*LACKS, NO_SNAPSHOT)


def _refusals(session: TiDBSession) -> Iterator[tuple[str, str]]:
    if not session.database:
        yield "the connection names no database", "write the database into the connection"
    if session.address.options.get("ssl_key_password"):
        yield "the tool takes no key with a password (ssl_key_password)", "give the connection a key without one"
    try:
        programs.find(TOOL)
    except NotAvailableError as error:
        yield str(error), f"build it: python -m local build {TOOL} (it is dumpling, its password by the environment)"
    if session.database and not session.rows("backup/objects", {"schema": session.database}):
        yield (
            f"database {session.database} has no tables that our user may read",
            f"grant select on {session.database}.*",
        )


def take(order: Order[TiDBSession]) -> Taken:
    """Dump the database at a snapshot, count the rows in the files, and read checksums of it at the same one."""
    session, bench = order.work.session, order.bench
    address, program, lacks = session.address, programs.find(TOOL), _lacks(session)
    with _held(session) as position, _certificates(session) as certificates:
        # Told as a plain setting: by itself the tool silently leaves the snapshot out where it knows no such store.
        params = f"time_zone=+00:00,tidb_snapshot={position['tso']}" if lacks == LACKS else "time_zone=+00:00"
        command = [
            *(str(program), "-h", address.host or "127.0.0.1", "-P", str(address.port or 4000)),
            *("-u", address.user or "root", "-B", _quoted(session.database)),
            *("-o", str(order.place), "-t", str(THREADS)),
            *("--consistency", "snapshot", "--snapshot", str(position["tso"]), "--params", params),
            *("--filetype", "sql", "-F", "256MiB", "--no-sequences=false", "--status-addr", "", "--loglevel", "error"),
            *certificates,
        ]
        secret = {"UPKEEP_DUMPLING_PASSWORD": address.password}
        bench.run(command, environment=secret, clean=_clean).fine()
        counted = files.rows(order.place, bench.checkpoint)
        views, sequences = _views(session, order), _sequences(session, order)
        checksums = _checksums(order, position, counted) if lacks == LACKS else {}
    objects = [
        Contents(
            name=str(Name(session.database, one.name)),
            kind=one.kind,
            rows=counted[one.name] if one.kind == "table" else None,
            structures=files.lines(one.create) if one.kind == "table" else sequences.get(one.name, ()),
            checksum=checksums.get(one.name),
        )
        for one in files.schemas(order.place)
    ]
    (collation,) = session.rows("backup/collation") or [{"newer": "True"}]
    return Taken(
        snapshot_at=position["at"],
        tool=TOOL,
        tool_version=programs.version(program),
        server_version=session.version,
        database=session.database,
        position={"tso": str(position["tso"])},
        objects=(*objects, *views),
        needs={"major": int(session.version.partition(".")[0]), "new_collation": str(collation["newer"])},
        lacks=lacks,
    )


@contextmanager
def _certificates(session: TiDBSession) -> Iterator[list[str]]:
    """Give the options by which the tool verifies what our session has verified.

    By itself it looks at the authority of a certificate and never at its name. Told that the server's own certificate
    is the authority, it takes no other server's.
    """
    how = protection.wanted(session.address)
    if not isinstance(how, Tls):
        yield []
        return
    client = {"--cert": how.cert, "--key": how.key}
    with tempfile.NamedTemporaryFile("w", prefix="upkeep-", suffix=".pem") as file:
        file.write(session.certificate or "")
        file.flush()
        yield ["--ca", file.name, *(word for option, path in client.items() if path for word in (option, path))]


def _quoted(name: str) -> str:
    """Return a name as the tool takes it in a list (CSV)."""
    return '"' + name.replace('"', '""') + '"'


def _clean(line: str) -> str:
    """Keep of the tool's words what names no values: a statement or a row may stand in an error."""
    return "" if "INSERT" in line.upper() or "VALUES" in line.upper() else line


@contextmanager
def _held(session: TiDBSession) -> Iterator[Json]:
    """Give a snapshot that stays until the block ends."""
    other = session.another("upkeep backup")
    try:
        other.execute(sql.statement("backup/hold"))
        other.execute(sql.fill("begin"))
        (row,) = other.rows("backup/position")
        yield {"tso": int(row["tso"]), "at": _instant(row["at"])}
    finally:
        other.close()


def _instant(at: datetime | str) -> datetime:
    found = at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
    return found.replace(tzinfo=UTC)


def _views(session: TiDBSession, order: Order[TiDBSession]) -> list[Contents]:
    """Write the views into a file of their own, as they are now."""
    found, text = [], []
    for row in session.rows("backup/objects", {"schema": session.database}):
        if row["kind"] == "VIEW":
            name = Name(session.database, row["name"])
            (made,) = session.rows("backup/view", view=name.identifier)
            create = " ".join(str(made["Create View"]).splitlines())
            text.append(f"{create};\n")
            found.append(Contents(name=str(name), kind="view", structures=(create,)))
    if text:
        (order.place / files.VIEWS).write_text("".join(text), encoding="utf-8")
    return found


def _sequences(session: TiDBSession, order: Order[TiDBSession]) -> dict[str, tuple[str, ...]]:
    """Write into the files where sequences stand, as they are now: of those that go down the tool cannot tell it."""
    found = dict[str, tuple[str, ...]]()
    there = {row["name"] for row in session.rows("backup/objects", {"schema": session.database})}
    for one in files.schemas(order.place):
        if one.kind == "sequence" and one.name in there:
            number = stands(session, Name(session.database, one.name))
            files.set_sequence(one.path, number)
            found[one.name] = (f"stands at {number}",)
    return found


def stands(session: TiDBSession, sequence: Name) -> int:
    """Return the last number that servers have taken of a sequence, whether they have given it out or not."""
    rows = session.rows("backup/next", sequence=sequence.identifier)
    number = next(int(row["NEXT_GLOBAL_ROW_ID"]) for row in rows if row["ID_TYPE"] == "SEQUENCE")
    # what is below zero is told without its sign
    return (number - _UNSIGNED if number >= _UNSIGNED >> 1 else number) - 1


def _checksums(order: Order[TiDBSession], position: Json, counted: Mapping[str, int]) -> dict[str, str]:
    """Read checksums of as many tables as the night allows, those first that waited longest."""
    session, left = order.work.session, order.policy.compare
    sizes: Counter[str] = Counter()
    for table, path in files.data(order.place):
        sizes[table] += path.stat().st_size
    never = datetime.min.replace(tzinfo=UTC)

    def waited(name: str) -> tuple[datetime, int]:
        return order.compared.get(str(Name(session.database, name)), never), sizes[name]

    found = {}
    reader = session.another("upkeep backup")
    try:
        reader.execute(sql.statement("backup/as_of", {"tso": str(position["tso"])}))
        for name in sorted(counted, key=waited):
            left -= sizes[name]
            if left < 0:
                break
            order.bench.checkpoint()
            found[name] = checksum(reader, Name(session.database, name))
    finally:
        reader.close()
    return found


def checksum(session: TiDBSession, table: Name) -> str:
    """Return what all rows of a table amount to, as the session sees them."""
    return str(marking.mark(session, marking.columns(session, table), table.identifier))


def refuse_full(session: TiDBSession) -> None:
    """Raise `ConfigurationError` when the database is not empty."""
    if found := session.rows("backup/objects", {"schema": session.database}):
        raise ConfigurationError(
            f"database {session.database} is not empty ({len(found)} tables and views); a backup is restored into an "
            "empty one only"
        )


def said(error: pymysql.MySQLError) -> str:
    """Return what the server said, without values of rows."""
    return faults.describe(error)
