"""How one partition is made: alone first, then attached, so that readers and writers hardly notice.

Everything happens in one transaction, so a kill at any moment leaves either nothing or a partition:

1. create the table like the parent, set it up like its newest sibling, with a CHECK that says its bounds;
2. when rows of the default partition belong to it: lock the parent, move them in one statement;
3. ATTACH, and drop the CHECK.

Many rows are moved in several steps (`moves`); a large default partition is proven free of the
range before it is locked.

Rows are moved under ACCESS EXCLUSIVE on the parent, because a reader that had already looked up the
partitions would miss the new one, and a writer that had already chosen the default would fail. A snapshot
taken before sees the rows where they were: they are inserted by the very transaction that attaches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import errors, sql

from upkeep.errors import UpkeepError
from upkeep.jobs import outcomes
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import ActionError, ConservationError, LockNotObtainedError, StateChangedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Json, Outcome
from upkeep.postgres import catalog, ddl, faults, holders, names
from upkeep.postgres.partition_creation import moves, plan
from upkeep.postgres.partition_creation.forms import meets
from upkeep.postgres.partition_creation.leftovers import clean
from upkeep.postgres.partition_creation.statements import Args, apart, attach, make, move, table
from upkeep.postgres.session import PostgresSession, Row

# A session lock: one of a transaction is gone at the first COMMIT, and this work has many (pg_partman#819).
_LOCK_SPACE: Final = 0x75706B65 << 32
"""Advisory locks of ours: "upke", then the parent's object id."""
KEEP_OUT: Final = "upkeep_keep_out"
"""Name of the CHECK on a large default partition that spares ATTACH the scan."""
_TAKEN: Final = (errors.DuplicateTable, errors.DuplicateObject, errors.CheckViolation, errors.InvalidObjectDefinition)
RETRY: Final = ddl.LockRetry(hold=2.0)
"""Nothing under these locks takes longer than some milliseconds, unless a default partition is large."""


def apply(work: Work[PostgresSession]) -> Outcome:
    """Carry the creation out; expected trouble becomes an outcome."""
    session = work.session
    do = _remove if work.action.kind == plan.LEFTOVER else _create
    return carry_out(work, lambda: do(work, session))


def carry_out(work: Work[PostgresSession], do: Callable[[], Json]) -> Outcome:
    """Change a parent's partitions by ``do``, which returns evidence; expected trouble becomes an outcome."""
    session = work.session

    def change(done: DoneSoFar) -> None:
        with claim(session, work.action.args["parent"]["oid"]):
            done.take(do())
        done.rows = done.evidence.get("rows_copied")

    return outcomes.carry_out(work.action, change, lambda error: classify(error, session), note=work.note)


def classify(error: Exception, session: PostgresSession) -> ActionError | None:
    """Return what an error of the driver means where a name or a place among partitions is to be taken."""
    known = faults.classify(error, session.connection)
    taken = isinstance(error, _TAKEN) and type(known) is ActionError
    return StateChangedError(str(known)) if taken else known


@contextmanager
def claim(session: PostgresSession, parent: int) -> Iterator[None]:
    """Hold the right to change a parent's partitions, against other runs of Upkeep; never waits.

    Raises `LockNotObtainedError`. The server releases it when the session ends, however it ends.
    """
    key = {"key": _LOCK_SPACE | parent}
    if not session.rows("partition_creation/advisory_lock", key)[0]["obtained"]:
        who = holders.held_by(session, key=key["key"])
        raise LockNotObtainedError(f"another run of Upkeep works on this table; the next run tries again{who}")
    try:
        yield
    finally:
        with contextlib.suppress(UpkeepError, psycopg.Error):  # what was done stays on record; the session ends soon
            session.rows("partition_creation/advisory_unlock", key)


def _remove(work: Work[PostgresSession], session: PostgresSession) -> Json:
    known = clean(session, work.action.args["parent"]["oid"], checkpoint=work.checkpoint, sleep=work.sleep)
    return {"removed": known, "message": f"removed {', '.join(known)}" if known else "it was gone already"}


def _create(work: Work[PostgresSession], session: PostgresSession) -> Json:
    args = work.action.args
    # Only now that the lock is ours: before it another run may have made the very same partition.
    existing = _recheck(session, args)
    if existing is not None:
        message = f"{existing.subject} was there already"
        return {"child_oid": existing.oid, "rows_copied": 0, "rows_deleted": 0, "message": message}
    # What a killed run left bears the names that are wanted here.
    clean(session, args["parent"]["oid"], checkpoint=work.checkpoint, sleep=work.sleep)
    what = f"creating {names.display(args['child']['schema'], args['child']['name'])}"
    columns = session.rows("columns", {"oid": args["parent"]["oid"]}) if args["move"] else []

    def finish() -> Json:
        for statement in attach(args):
            session.execute(statement)
        oid = session.rows("partition_creation/child_oid", args["child"])[0]["oid"]
        _replica_indexes(session, args, oid)
        return {"child_oid": oid, "rows_copied": 0, "rows_deleted": 0}

    if args["move"] > moves.DIRECT_ROWS:
        return moves.move(work, session, columns, finish, what)
    if args["default"] and args["default"]["large"] and not args["move"] and not args["live"]:
        with _kept_out(work, session, what):
            return _at_once(work, session, [], finish, what)
    return _at_once(work, session, columns, finish, what)


def _at_once(
    work: Work[PostgresSession], session: PostgresSession, columns: list[Row], finish: Callable[[], Json], what: str
) -> Json:
    """Make the partition in one transaction, moving the rows that belong to it when there are any."""
    args = work.action.args
    parent, default = table(args, "parent"), args["default"]
    quiet: list[sql.Composable] = [parent, *([table(args, "default")] if default else [])]

    def body() -> Json:
        for statement in make(args):
            session.execute(statement)
        counts: Json = {}
        if args["move"]:
            # Parent before child, as everybody takes them (pg_partman#796, a deadlock the other way round). Readers
            # too must wait: one who has looked the partitions up already would miss the rows that go.
            ddl.lock(session, parent, "access exclusive")
            ddl.lock(session, table(args, "default"), "access exclusive")
            counts = _move(session, args, [row["name"] for row in columns if not row["generated"]])
        elif default and args["live"]:
            # Writers wait at the parent and choose their partition after it. One who had chosen the default before
            # would be refused by the constraint that ATTACH gives it.
            ddl.lock(session, parent, "share row exclusive")
        evidence = finish()
        if default:
            # In the same transaction: no kill leaves it behind. ATTACH has made its words the default's own constraint.
            kept_out = session.statement("drop_constraint", table=table(args, "default"), name=sql.Identifier(KEEP_OUT))
            session.execute(kept_out)
        return {**evidence, **counts}

    return ddl.attempt(session, body, checkpoint=work.checkpoint, sleep=work.sleep, quiet=quiet, retry=RETRY, what=what)


@contextmanager
def _kept_out(work: Work[PostgresSession], session: PostgresSession, what: str) -> Iterator[None]:
    """Let a validated CHECK spare ATTACH the scan of a large default partition.

    Only for ranges that lie in the future: a row that arrives in the range meanwhile is refused.
    """
    args = work.action.args
    default, name = table(args, "default"), sql.Identifier(KEEP_OUT)
    text = sql.Literal(moves.marker(args, "constraint"))
    add = [
        session.statement(
            "partition_creation/keep_out_check",
            default=default,
            name=name,
            key=sql.Identifier(args["key"]),
            apart=apart(args),
        ),
        session.statement("partition_creation/comment_on_constraint", table=default, name=name, text=text),
    ]
    # Two transactions: VALIDATE in this one would scan under the lock that ADD CONSTRAINT takes.
    ddl.run(session, add, checkpoint=work.checkpoint, sleep=work.sleep, quiet=[default], what=what)
    try:
        validate = session.statement("partition_creation/validate_constraint", table=default, name=name)
        seconds = ddl.QUIET_SECONDS
        ddl.run_alone(session, validate, checkpoint=work.checkpoint, sleep=work.sleep, lock_seconds=seconds, what=what)
        yield
    except BaseException:
        with contextlib.suppress(UpkeepError, psycopg.Error):  # the next run removes what stays
            clean(session, args["parent"]["oid"], checkpoint=work.checkpoint, sleep=work.sleep)
        raise


def _recheck(session: PostgresSession, args: Args) -> catalog.Partition | None:
    """Return the partition when it is there already; raise `StateChangedError` when the plan no longer holds."""
    parent = args["parent"]
    rows = session.rows("partition_creation/parent_state", {"oid": parent["oid"]})
    if not rows or (rows[0]["schema"], rows[0]["name"]) != (parent["schema"], parent["name"]):
        raise StateChangedError("the table was dropped or renamed since it was observed")
    known = catalog.partitions(session, [parent["oid"]])
    planned = args["default"]["oid"] if args["default"] else None
    if args.get("form") == "default" and rows[0]["default_oid"] is not None:
        return next(p for p in known if p.oid == rows[0]["default_oid"])
    # Its rows were counted and its size looked at: of another one nothing is known.
    if rows[0]["default_oid"] != planned:
        raise StateChangedError("the default partition is another one than was observed")
    for partition in known:
        met = meets(args, partition.bounds)
        if met == "same" and not partition.detach_pending:
            return partition
        if met:
            raise StateChangedError(f"{partition.subject} has meanwhile taken part of what it was to take")
    return None


def _move(session: PostgresSession, args: Args, columns: list[str]) -> dict[str, int]:
    row = session.execute(move(args, columns)).fetchall()[0]
    deleted, copied = int(row["rows_deleted"]), int(row["rows_copied"])
    if deleted != copied:
        raise ConservationError(f"{deleted} rows left the default partition, {copied} arrived; rolled back")
    # The limit is for what happens, not for what was expected: the count of the plan may be hours old.
    if deleted > args["move_at_most"]:
        raise StateChangedError(f"by now {deleted} rows would have to move, more than {args['move_at_most']}")
    return {"rows_copied": copied, "rows_deleted": deleted}


def _replica_indexes(session: PostgresSession, args: Args, child: int) -> None:
    """Give the new tables the replica identity of their siblings where that is an index of the whole table."""
    below = args.get("below")
    _replica_index(session, args["like"], table(args, "child"), child)
    if not below or below["like"]["replica_identity"] != "i":
        return
    for leaf in below["leaves"]:
        oid = session.rows("partition_creation/child_oid", {"schema": leaf["schema"], "name": leaf["name"]})[0]["oid"]
        _replica_index(session, below["like"], sql.Identifier(leaf["schema"], leaf["name"]), oid)


def _replica_index(session: PostgresSession, like: Args, name: sql.Identifier, oid: int) -> None:
    index = like["replica_index"]
    if like["replica_identity"] != "i" or index is None:
        return
    found = session.rows("partition_creation/child_index", {"parent_index": index, "child": oid})
    if found:
        index_name = sql.Identifier(found[0]["name"])
        session.execute(session.statement("partition_creation/replica_identity_index", table=name, index=index_name))


def undo(work: Work[PostgresSession], outcome: Outcome) -> Outcome:
    """Detach and drop the partition that the action made, while it is empty; else say why not."""

    def take_back(done: DoneSoFar) -> None:
        done.message = _take_back(work, outcome.evidence.get("child_oid"))

    return outcomes.carry_out(work.action, take_back, lambda error: faults.classify(error, work.session.connection))


def _take_back(work: Work[PostgresSession], child: int | None) -> str:
    session, args = work.session, work.action.args
    if work.action.kind != plan.KIND or child is None:
        raise StateChangedError("there is nothing to take back")
    known = {p.oid: p for p in catalog.partitions(session, [args["parent"]["oid"]])}
    if child not in known and not session.rows(
        "partition_creation/table_name", {"oid": child}
    ):  # an undo that was killed had done it
        return "the partition is gone already"
    if child not in known:
        raise StateChangedError("the partition is no longer attached; nothing was changed")
    partition = known[child]
    parent, name = table(args, "parent"), partition.full_name.identifier

    def body() -> None:
        ddl.lock(session, parent, "access exclusive")
        # Its own partitions too: a row may be written into one of these without the parent's being asked.
        ddl.lock_tree(session, name, "access exclusive")
        if session.execute(session.statement("partition_creation/any_row", table=name)).fetchall():
            raise StateChangedError(f"{partition.subject} holds rows; it stays")
        session.execute(session.statement("detach_partition", parent=parent, child=name))
        session.execute(session.statement("drop_table", table=name))

    with claim(session, args["parent"]["oid"]):
        what = f"undoing {partition.subject}"
        ddl.attempt(session, body, checkpoint=work.checkpoint, sleep=work.sleep, quiet=[parent], what=what)
    return f"{partition.subject} detached and dropped"
