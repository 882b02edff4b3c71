"""What the tests of whole runs share: a fleet on fresh databases, the command line in a process of its own, its stages.

A process is forked off the test's (Great Expectations is imported once), so a test can kill it, stop it at
a stage, or change a constant in it without touching anything else. A stage is whatever lasts: a write to the
ledger or the lease, a commit on the target, a statement there outside of a transaction that is no pure read.
What is in between lasts no longer than the process (the jobs' own tests kill them at every statement).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import psycopg
from psycopg import sql

from tests.harness.jobs import fleet_text
from upkeep import gates
from upkeep.cli import main
from upkeep.ledger.control import Control
from upkeep.postgres.session import PostgresSession

Stage: TypeAlias = Callable[[int, str], None]
Db: TypeAlias = psycopg.Connection[Any]

_CHANGES = re.compile(r"\b(insert into|delete from|update|merge into)\b", re.IGNORECASE)
_COMMENT = re.compile(r"--.*$", re.MULTILINE)
_numbers = itertools.count(1)


# -- the command line in a process of its own ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: its exit status (negative: the signal that killed it) and what it said."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def target(self) -> Any:
        (only,) = self.document["targets"]
        return only

    @property
    def story(self) -> str:
        """The document in short, for a failing test."""
        if not self.out.startswith("{"):
            return f"exit {self.status}: {self.said}"
        lines = [f"exit {self.status} {self.err}".strip()]
        for target in self.document["targets"]:
            lines.append(f"{target['target']}: {target['status']} {target.get('error', '')}".strip())
            for action in target["actions"]:
                outcome = action.get("outcome") or {}
                state = outcome.get("reason_code") or outcome.get("status")
                lines.append(f"  {action['kind']} {action['subject']}: {state} {outcome.get('message') or ''}".rstrip())
            lines += [f"  {g['stage']}: {f['summary']}" for g in target["gates"] for f in g["failed"]]
        return "\n".join(lines)

    def outcomes(self) -> dict[str, list[str]]:
        """Return the outcomes of each subject, in order: their reason, else their status."""
        found: dict[str, list[str]] = {}
        for target in self.document["targets"]:
            for action in target["actions"]:
                outcome = action.get("outcome") or {"status": "none"}
                found.setdefault(action["subject"], []).append(outcome.get("reason_code") or outcome["status"])
        return found


class Command:
    """A running command of `upkeep`."""

    def __init__(self, pid: int, out: Path, err: Path) -> None:
        self.pid = pid
        self._out, self._err = out, err
        self._status: int | None = None

    @property
    def said(self) -> str:
        """What it has written so far."""
        return self._out.read_text() + self._err.read_text()

    @property
    def ended(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is not None

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = 120) -> Done:
        until(lambda: self.ended, seconds, lambda: f"the command did not end: {self.said}")
        assert self._status is not None
        return Done(self._status, self._out.read_text(), self._err.read_text())


@dataclass
class Bed:
    """A target database, a control database and a fleet file."""

    target: str
    control: str
    folder: Path
    addresses: dict[str, str] = field(default_factory=dict)

    @property
    def fleet(self) -> Path:
        return self.folder / "fleet.yaml"

    def declare(self, tables: Mapping[str, str], *, names: Sequence[str] = ("shop",), more: str = "") -> None:
        """Write the fleet file: the same tables on one or more targets, each with its connection of that name."""
        connections = {name: f"{name}_db" for name in names}
        self.fleet.write_text(fleet_text("postgres", "tables", tables, connections, more))
        for name in names:
            self.addresses.setdefault(name, self.target)

    def start(
        self,
        *arguments: str,
        stage: Stage | None = None,
        before: Callable[[], object] | None = None,
        fleet: Path | None = None,
    ) -> Command:
        """Start a command; ``before`` runs first in its process, ``stage`` before each of its stages."""
        gates.preload()
        number = next(_numbers)
        out, err = self.folder / f"{number}.out", self.folder / f"{number}.err"
        out.touch()
        err.touch()
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                _redirect(out, err)
                os.environ["AIRFLOW_CONN_UPKEEP_CONTROL"] = self.control
                for name, uri in self.addresses.items():
                    os.environ[f"AIRFLOW_CONN_{name.upper()}_DB"] = uri
                if stage is not None:
                    watch(stage)
                if before is not None:
                    before()
                main(["--fleet", str(fleet or self.fleet), *arguments], prog_name="upkeep")
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
            except BaseException as error:  # noqa: BLE001 - a traceback is what the test is to see
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        return Command(pid, out, err)

    def upkeep(
        self,
        *arguments: str,
        stage: Stage | None = None,
        before: Callable[[], object] | None = None,
        fleet: Path | None = None,
    ) -> Done:
        """Run a command to its end."""
        return self.start(*arguments, stage=stage, before=before, fleet=fleet).wait()

    def stages(self, *arguments: str, before: Callable[[], object] | None = None) -> tuple[Done, list[str]]:
        """Run a command to its end and return its stages too."""
        path = self.folder / "stages"
        path.write_text("")

        def note(_: int, text: str) -> None:
            with path.open("a") as file:
                file.write(json.dumps(text) + "\n")

        done = self.upkeep(*arguments, stage=note, before=before)
        return done, [json.loads(line) for line in path.read_text().splitlines()]

    def wait_until_alone(self, *uris: str) -> None:
        """Wait until no session of Upkeep's is left: a killed run leaves no waiter and no lock behind."""
        for uri in uris or (self.target, self.control):
            with psycopg.connect(uri, autocommit=True) as connection:
                until(lambda c=connection: sessions(c) == [], 20, lambda c=connection: f"left behind: {sessions(c)}")  # type: ignore[misc]


def _redirect(out: Path, err: Path) -> None:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def until(found: Callable[[], object], seconds: float = 30, else_: Callable[[], str] = lambda: "timed out") -> None:
    """Ask again and again until the answer is true."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, else_()
        time.sleep(0.01)


def stopped(command: Command, number: int) -> Done:
    """Send a signal and return how the command ended: soon."""
    command.send(number)
    started = time.monotonic()
    done = command.wait(20)
    assert done.status == 130, done.said
    assert time.monotonic() - started < 10, "not at once"
    assert "the running statement is being cancelled on the server" in done.err
    assert "stopped: " in done.err
    assert "Traceback" not in done.said
    return done


# -- stages -------------------------------------------------------------------------------------------


def watch(stage: Stage, *, statements: bool = False) -> None:
    """Call ``stage(number, text)`` in this process before each stage of the run; for a process of its own only.

    With ``statements``, every statement that is no pure read is a stage, also inside a transaction.
    """
    count, depth = itertools.count(1), [0]
    execute, transaction, write = PostgresSession.execute, PostgresSession.transaction, Control.write

    def executed(self: PostgresSession, statement: Any, params: Any = None) -> Any:
        text = _COMMENT.sub("", statement.as_string(self.connection)).strip()
        changes = not text.startswith(("select", "with", "explain", "set")) or _CHANGES.search(text)
        if changes and (statements or not depth[0]):
            stage(next(count), f"target: {text}")
        return execute(self, statement, params)

    @contextmanager
    def committed(self: PostgresSession) -> Iterator[None]:
        depth[0] += 1
        try:
            with transaction(self):
                yield
                depth[0] -= 1
                if not depth[0]:
                    stage(next(count), "target: commit")
                depth[0] += 1
        finally:
            depth[0] -= 1

    def written(self: Control, name: str, **values: Any) -> Any:
        stage(next(count), f"ledger: {name}")
        return write(self, name, **values)

    setattr(PostgresSession, "execute", executed)  # noqa: B010 - for this process
    setattr(PostgresSession, "transaction", committed)  # noqa: B010
    setattr(Control, "write", written)  # noqa: B010


def killed_at(number: int) -> Stage:
    """Return what kills the process, as ``kill -9`` does, at one stage."""

    def stage(now: int, _: str) -> None:
        if now == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return stage


def once(wanted: str, do: Callable[[], object], *, after: int = 0, since: str = "") -> Stage:
    """Return what does something at the first stage whose text has ``wanted``, or at a later one.

    Parameters
    ----------
    after
        How many such stages to let pass.
    since
        Count only those that come after a stage with this text.
    """
    seen, begun = itertools.count(), [not since]

    def stage(_: int, text: str) -> None:
        if begun[0] and wanted in text and next(seen) == after:
            do()
        begun[0] = begun[0] or since in text

    return stage


class Halt:
    """A place where a run's process waits until the test lets it go on.

    Parameters
    ----------
    folder
        Where the two processes meet.
    """

    def __init__(self, folder: Path) -> None:
        number = next(_numbers)
        self._reached, self._go = folder / f"{number}.reached", folder / f"{number}.go"

    def here(self) -> None:
        """Wait, in the run's process."""
        self._reached.touch()
        until(self._go.exists, 60)

    def reached(self) -> None:
        """Wait, in the test, until the run has come so far."""
        until(self._reached.exists, 60, lambda: "the run did not come so far")

    def go(self) -> None:
        """Let the run go on."""
        self._go.touch()


def hard_kill(pid: int) -> None:
    """End a server and all its processes with SIGKILL; unlike the server's own method, from any process."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    until(lambda: not any(_runs(member) for member in family), 20)


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


# -- what is in a database ----------------------------------------------------------------------------


def sessions(connection: Db) -> list[str]:
    """Return the sessions of Upkeep's in this database."""
    rows = connection.execute(
        "select application_name || ': ' || state || ' ' || query from pg_stat_activity "
        "where datname = current_database() and application_name like 'upkeep%'"
    ).fetchall()
    return [row[0] for row in rows]


def asleep(db: Db) -> bool:
    found = "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
    return bool(db.execute(found).fetchall())


def rows_of(connection: Db, schema: str = "app") -> dict[int, int]:
    """Return how often each id is there, in tables, detached tables and archives; half made copies are none."""
    found: dict[int, int] = {}
    for (oid,) in connection.execute(
        "select c.oid from pg_class c where c.relnamespace = %s::regnamespace and c.relkind = 'r' "
        "and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'id') "
        "and coalesce(obj_description(c.oid, 'pg_class'), '') not like 'upkeep: half made%%'",
        [schema],
    ).fetchall():
        name = sql.SQL("{}").format(sql.SQL(str(_scalar(connection, "select %s::oid::regclass::text", oid))))
        for (id_,) in connection.execute(sql.SQL("select id from only {}").format(name)).fetchall():
            found[id_] = found.get(id_, 0) + 1
    return found


def picture(connection: Db, schema: str = "app") -> dict[str, Any]:
    """Return all that is in a schema, without object ids and clock times, to be compared."""
    tables = connection.execute(
        "select c.oid::regclass::text, c.relkind::text, c.relreplident::text, c.relpersistence::text, "
        "(select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = c.oid), "
        "(select i.inhdetachpending from pg_inherits i where i.inhrelid = c.oid), "
        "pg_get_expr(c.relpartbound, c.oid), obj_description(c.oid, 'pg_class'), "
        "array(select pg_get_constraintdef(x.oid) from pg_constraint x where x.conrelid = c.oid order by 1), "
        "array(select regexp_replace(pg_get_indexdef(x.indexrelid), '^.* USING', '') "
        "from pg_index x where x.indrelid = c.oid order by 1), "
        "array(select t.tgname::text from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal order by 1), "
        "c.relacl::text "
        "from pg_class c where c.relnamespace = %s::regnamespace and c.relkind in ('r', 'p') order by 1",
        [schema],
    ).fetchall()
    found: dict[str, Any] = {}
    for name, kind, *facts in tables:
        facts[5] = _comment(facts[5])
        content = [] if kind == "p" else connection.execute(f"select t::text from only {name} t order by 1").fetchall()
        found[name] = (kind, *facts, [row[0] for row in content])
    found["functions"] = connection.execute(
        "select p.proname from pg_proc p where p.pronamespace = %s::regnamespace order by 1", [schema]
    ).fetchall()
    return found


def _comment(text: str | None) -> Any:
    if text is None or not text.startswith("upkeep: {"):
        return text
    marker = json.loads(text.removeprefix("upkeep: "))
    return {key: value for key, value in marker.items() if key not in ("at", "drop_after", "parent_oid", "oid")}


def _scalar(connection: Db, query: str, *values: Any) -> Any:
    row = connection.execute(query, values).fetchone()  # type: ignore[call-overload]
    return None if row is None else row[0]


def ledger_text(connection: Db) -> str:
    """Return everything that the ledger holds, as text; what it packs is unpacked."""
    tables = connection.execute(
        "select c.oid::regclass::text from pg_class c "
        "where c.relnamespace = 'upkeep'::regnamespace and c.relkind = 'r' order by 1"
    ).fetchall()
    texts: list[str] = []
    for (name,) in tables:
        cursor = connection.execute(f"select t.* from only {name} t")
        for row in cursor.fetchall():
            texts += [
                zlib.decompress(value).decode() if isinstance(value, bytes) else str(value)
                for value in row
                if value is not None
            ]
    return "\n".join(texts)
