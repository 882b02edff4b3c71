"""Taking a partition out.

Without a default partition it goes CONCURRENTLY: nobody waits for us. PostgreSQL then marks the partition,
waits for everybody who uses the parent, and completes; interrupted in between, the detaching is *pending*:
queries no longer see the partition, its siblings cannot be detached concurrently, and only FINALIZE helps.
So it is not even begun while somebody holds the parent, and what an earlier run left pending is finalised.
With a default partition (or with a partition that must be proven empty) it is a plain DETACH under a short
lock: referring tables first, then the parent, then the partition.

A COMMENT on the table says where it came from and when it may be dropped: written in the transaction of the
plain DETACH; before a concurrent one (state ``detach``) and completed after it (``detached``). A kill in
between leaves a state that the next run knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from psycopg import errors, sql

from upkeep.jobs.contract import Checkpoint
from upkeep.jobs.data_retention.cutoff import moment
from upkeep.jobs.data_retention.marker import read_marker, write_marker
from upkeep.jobs.errors import AlreadyDoneError, LockNotObtainedError, StateChangedError
from upkeep.model import Json
from upkeep.model.intervals import Duration, shift
from upkeep.postgres import ddl, holders, names
from upkeep.postgres.catalog import PAGE_BYTES
from upkeep.postgres.data_retention import counting
from upkeep.postgres.data_retention.args import Detaching
from upkeep.postgres.ddl import LockRetry
from upkeep.postgres.session import PostgresSession

HOLDERS_TRIES: Final = 20
"""With the sleeps in between about 40 s, as long as for other locks."""
QUIET_SECONDS: Final = 2.5
"""The waits of a concurrent detaching let readers and writers pass; long enough that autovacuum gives way."""
CONCURRENT_TRIES: Final = 6
"""With referring tables each waits milliseconds only: their writers would wait behind us."""
FINALIZE_RETRY: Final = LockRetry(attempts=8)
ONCE: Final = LockRetry(attempts=1)
COUNT_MOST: Final = 1_000_000
"""Rows counted when a table has been detached, some 100 ms; of more, the size alone tells whether some arrive later."""
COUNT_TIMEOUT: Final = "10s"
COUNTED_UNDER_LOCK: Final = 10_000
"""So few take a millisecond or two: then the marker is whole in the transaction that detaches."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table is now, found by its object id."""

    oid: int
    schema: str
    name: str
    kind: str
    is_partition: bool
    parent: int | None
    parent_schema: str | None
    parent_name: str | None
    detach_pending: bool
    bounds: str | None
    default_oid: int | None
    comment: str | None
    sibling_pending: bool

    @property
    def table(self) -> sql.Identifier:
        """The table."""
        return sql.Identifier(self.schema, self.name)

    @property
    def parent_table(self) -> sql.Identifier:
        """Its parent."""
        return sql.Identifier(self.parent_schema or "", self.parent_name or "")

    @property
    def subject(self) -> str:
        """The name as people read it."""
        return names.display(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Tools:
    """What every step needs."""

    session: PostgresSession
    checkpoint: Checkpoint
    sleep: Callable[[float], None]


def place(session: PostgresSession, oid: int) -> Place | None:
    """Return where the table is, or ``None`` when it is gone."""
    rows = session.rows("data_retention/where", {"oid": oid})
    return Place(oid=oid, **rows[0]) if rows else None


def detach(tools: Tools, args: Detaching, *, grace: Duration, zone: ZoneInfo) -> Json:
    """Detach the partition that the action names; return the evidence.

    Raises
    ------
    AlreadyDoneError
        Another run of Upkeep has detached it since, or it is gone.
    StateChangedError
        It is no longer the partition that was planned for, or it must be empty and is not.
    LockNotObtainedError
        Others held the tables for too long.
    """
    # Looked at once more: between plan and now lie an approval, other runs, and people.
    here = _expected(tools.session, args)
    now = moment(tools.session.rows("data_retention/clock")[0]["now"])
    marker = _marker(here, now, shift(now, grace, zone), args)
    if here.detach_pending:
        if args.mode != "finalize":
            raise StateChangedError(f"somebody has begun to detach {here.subject}; plan again")
        finalize(tools, here)
    else:
        try:
            if args.mode == "concurrently" and here.default_oid is None:
                _detach_concurrently(tools, here, marker, args)
            else:
                marker |= _detach_plainly(tools, here, marker, args)
        except errors.ForeignKeyViolation as error:
            text = f"rows of {here.subject} are referred to since it was planned for ({error.diag.constraint_name})"
            raise StateChangedError(f"{text}; it stays") from error
    return _evidence(here, args, _complete(tools, args.oid, marker))


def _evidence(here: Place, args: Detaching, marker: Json) -> Json:
    return {
        "oid": args.oid,
        "partition": here.subject,
        "parent_oid": args.parent_oid,
        "bounds": args.bounds,
        "detached_at": marker["at"],
        "drop_after": marker["drop_after"],
        **({"rows": marker["rows"]} if "rows" in marker else {}),
    }


def finalize(tools: Tools, here: Place) -> None:
    """Complete a pending detaching."""
    parts: dict[str, sql.Composable] = {"parent": here.parent_table, "partition": here.table}
    statement = tools.session.statement("data_retention/detach_finalize", **parts)
    ddl.run_alone(
        tools.session,
        statement,
        checkpoint=tools.checkpoint,
        sleep=tools.sleep,
        retry=FINALIZE_RETRY,
        lock_seconds=QUIET_SECONDS,
        what=f"completing the detaching of {here.subject}",
    )


def _expected(session: PostgresSession, args: Detaching) -> Place:
    """Return the partition, the same as planned: same object, same parent, same bounds."""
    here = place(session, args.oid)
    if here is None:
        raise AlreadyDoneError("the partition is gone already")
    marker = read_marker(here.comment) or {}
    same = (marker.get("parent_oid"), marker.get("bounds")) == (args.parent_oid, args.bounds)
    if same and marker.get("state") == "detached" and not here.is_partition:
        evidence = _evidence(here, args, marker)
        raise AlreadyDoneError(f"{here.subject} was detached already, at {marker['at']}", evidence)
    if not here.is_partition or here.parent != args.parent_oid:
        raise StateChangedError(f"{here.subject} is no longer a partition of the table it was planned for")
    if here.bounds != args.bounds and not here.detach_pending:
        raise StateChangedError(f"{here.subject} has other bounds now: {here.bounds}")
    return here


def _marker(here: Place, now: datetime, drop_after: datetime, args: Detaching) -> Json:
    earlier = read_marker(here.comment)
    marker: Json = {
        **args.terms,
        "oid": here.oid,
        "partition": here.subject,
        "detached_from": names.display(here.parent_schema or "", here.parent_name or ""),
        "parent_oid": args.parent_oid,
        "bounds": args.bounds,
        "at": now.isoformat(),
        "drop_after": drop_after.isoformat(),
        "state": "detached",
    }
    if args.root_oid is not None:
        marker["root_oid"] = args.root_oid
    # The owner's own comment travels in the marker and comes back with the table.
    comment = earlier.get("comment") if earlier else here.comment
    return {**marker, "comment": comment} if comment else marker


def _detach_plainly(tools: Tools, here: Place, marker: Json, args: Detaching) -> Json:
    """Detach under a short lock; return how the table was left, as its marker says."""
    session = tools.session

    def body() -> Json:
        # DETACH locks these tables as well (SHARE; PostgreSQL 16, ALTER TABLE), but after the parent, and their
        # writers come from there to the parent to look up what they refer to: the two would deadlock. So they come
        # first, and in one order for all runs.
        for key in sorted(args.referencing, key=lambda k: k.oid):
            ddl.lock(session, sql.Identifier(key.schema, key.table), "share row exclusive")
        ddl.lock(session, here.parent_table, "access exclusive")
        ddl.lock_tree(session, here.table, "access exclusive")
        if place(session, here.oid) != here:
            raise StateChangedError(f"{here.subject} changed while its lock was waited for; plan again")
        if args.must_be_empty and _holds_rows(session, here):
            raise StateChangedError(f"rows arrived in {here.subject}; the next run moves them, then detaches it")
        # Marked before it is measured: `_left` reads it as one of the tables with a marker.
        session.execute(comment_statement(session, here, write_marker(marker)))
        session.execute(session.statement("detach_partition", parent=here.parent_table, child=here.table))
        # After DETACH, under the lock still: what is counted here nobody can add to before the commit.
        left = _left(session, here, COUNTED_UNDER_LOCK, "50ms")
        session.execute(comment_statement(session, here, write_marker({**marker, **left})))
        return left

    what = f"detaching {here.subject}"
    return ddl.attempt(
        session, body, checkpoint=tools.checkpoint, sleep=tools.sleep, quiet=[here.parent_table], what=what
    )


def _detach_concurrently(tools: Tools, here: Place, marker: Json, args: Detaching) -> None:
    session = tools.session
    # PostgreSQL refuses a second one until the first is finalised (measured on 15): better known before anybody is
    # waited for.
    if here.sibling_pending:
        raise StateChangedError("the detaching of another partition is pending: that must be completed first")
    if args.must_be_empty and _holds_rows(session, here):
        raise StateChangedError(f"rows arrived in {here.subject}; the next run moves them, then detaches it")
    _wait_for_holders(tools, here)
    waits: dict[str, Any] = {"checkpoint": tools.checkpoint, "sleep": tools.sleep}
    # A transaction of its own, for the next statement takes none: a kill after it leaves a marker that the next run
    # finds.
    _mark(tools, here, {**marker, "state": "detaching"})
    parts: dict[str, sql.Composable] = {"parent": here.parent_table, "partition": here.table}
    statement = session.statement("data_retention/detach_concurrently", **parts)
    what = f"detaching {here.subject}"
    # None: the short waits of other strong locks, because writers of the referring tables would wait behind this one.
    waits["lock_seconds"] = None if args.referencing else QUIET_SECONDS
    for number in range(CONCURRENT_TRIES):
        try:
            ddl.run_alone(session, statement, retry=ONCE, what=what, **waits)
        except (LockNotObtainedError, errors.IntegrityError) as error:
            now = place(session, here.oid)
            # Past the first of its two transactions there is no way back: only FINALIZE ends this state.
            if now is not None and now.detach_pending:
                finalize(tools, now)
                return
            if isinstance(error, LockNotObtainedError) and number + 1 < CONCURRENT_TRIES:
                tools.sleep(0.2 * 2.0**number)
                continue
            # It stays attached and must not look as if it were on its way out.
            _unmark(tools, here)
            raise
        return


def _unmark(tools: Tools, here: Place) -> None:
    """Give the partition its owner's comment back: it stays."""
    statement = comment_statement(tools.session, here, here.comment)
    ddl.run(
        tools.session, [statement], checkpoint=tools.checkpoint, sleep=tools.sleep, what=f"unmarking {here.subject}"
    )


def _wait_for_holders(tools: Tools, here: Place) -> None:
    """Wait, with nothing locked, until nobody holds the parent: begun too early, the detaching would stay pending."""
    for number in range(HOLDERS_TRIES):
        if not tools.session.rows("data_retention/lockers", {"oid": here.parent})[0]["holders"]:
            return
        tools.checkpoint(f"waiting: others use the parent of {here.subject}")
        tools.sleep(min(0.1 * 2.0**number, 3.0))
    who = holders.held_by(tools.session, [oid for oid in (here.parent,) if oid is not None])
    message = f"detaching {here.subject}: others held its parent all the time; the next run tries again{who}"
    raise LockNotObtainedError(message)


def _complete(tools: Tools, oid: int, marker: Json) -> Json:
    """See that it is detached, and complete its marker with how it was left; return the marker."""
    session = tools.session
    now = place(session, oid)
    # A statement that returned without an error is no proof; the catalog is.
    if now is None or now.is_partition:
        raise StateChangedError("the partition is still attached after its detaching: look at it by hand")
    if read_marker(now.comment) != marker:
        _mark(tools, now, marker)
    left = {} if "rows" in marker else _left(session, now, COUNT_MOST, COUNT_TIMEOUT)
    if any(marker.get(key) != value for key, value in left.items()):
        marker = {**marker, **left}
        _mark(tools, now, marker)
    return marker


def _left(session: PostgresSession, here: Place, most: int, timeout: str) -> Json:
    """Return how a table is that was just detached: how much it holds, and what else would go with it."""
    seen = next(iter(session.rows("detached", {"oid": here.oid})), None)
    if seen is None or here.kind not in ("r", "p"):
        return {}
    rows = counting.count(session, here.table, most, timeout=timeout)
    # At the limit it may hold any number more: then nothing is said of rows, and the size has to do.
    known = {} if rows is None or rows == most else {"rows": rows}
    return {**known, "bytes": seen["pages"] * PAGE_BYTES, "objects": [one["oid"] for one in seen["objects"]]}


def _mark(tools: Tools, here: Place, marker: Json) -> None:
    statement = comment_statement(tools.session, here, write_marker(marker))
    ddl.run(tools.session, [statement], checkpoint=tools.checkpoint, sleep=tools.sleep, what=f"marking {here.subject}")


def _holds_rows(session: PostgresSession, here: Place) -> bool:
    statement = session.statement("data_retention/not_empty", table=here.table)
    return bool(session.execute(statement).fetchall()[0]["found"])


def comment_statement(session: PostgresSession, here: Place, comment: str | None) -> sql.Composed:
    """Return the statement that gives a table its comment; ``None``: none."""
    return session.statement("data_retention/comment", table=here.table, comment=sql.Literal(comment))
