"""How a plain table becomes the first partition of a table of its name, while others read and write it.

1. A CHECK that says the bounds is added NOT VALID: a lock for milliseconds.
2. It is validated while readers and writers pass.
3. In one transaction: the partitioned table is made beside, then, under ACCESS EXCLUSIVE, it takes over the
   name and all that belongs to it, and the plain table is attached, which reads no row thanks to the CHECK.
4. The partitions ahead are created, and the partitioned table is analysed.

A kill leaves either nothing or the CHECK, which carries a comment as ours: the next run removes or re-uses it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import psycopg

from upkeep.errors import UpkeepError
from upkeep.jobs.contract import Ask, Work
from upkeep.jobs.errors import ActionError, LockNotObtainedError, StateChangedError
from upkeep.model import NOTHING_ASKED, Json, Memory, Outcome, OutcomeStatus
from upkeep.postgres import ddl, holders, names
from upkeep.postgres.bounds import Axis
from upkeep.postgres.partition_creation import apply as creation_apply
from upkeep.postgres.partition_creation import observe as creation_observe
from upkeep.postgres.partition_creation import plan as creation_plan
from upkeep.postgres.partition_creation.conversion import judgement, observe, statements
from upkeep.postgres.partition_creation.conversion.checks import of_dependents
from upkeep.postgres.partition_creation.conversion.names import CHECK
from upkeep.postgres.partition_creation.conversion.view import lost, rights_changed
from upkeep.postgres.partition_creation.leftovers import clean
from upkeep.postgres.partition_creation.statements import Args, table
from upkeep.postgres.session import PostgresSession, Row

T = TypeVar("T")

PROOF: Final = ddl.LockRetry(first_wait=ddl.QUIET_SECONDS, last_wait=ddl.QUIET_SECONDS, hold=judgement.PROOF / 1e6)
"""The validation reads the whole table once; nobody waits for it, and its lock lets readers and writers pass."""
RETRY: Final = ddl.LockRetry(first_wait=0.03, last_wait=0.05, hold=2.0)
"""The exchange takes some 30 ms under the lock: with the wait for it, under the 100 ms that Upkeep promises."""


@dataclasses.dataclass
class Held:
    """For how long others may have waited for us: from asking for a strong lock until it was given back."""

    longest: float = 0.0
    times: int = 0
    _since: float | None = None

    def begin(self) -> None:
        """Note that a lock is asked for."""
        self.end()
        self._since = time.monotonic()
        self.times += 1

    def end(self) -> None:
        """Note that it was given back; nothing happens when none was asked for."""
        if self._since is not None:
            self.longest = max(self.longest, time.monotonic() - self._since)
        self._since = None


def apply(work: Work[PostgresSession]) -> Outcome:
    """Convert the table; expected trouble becomes an outcome."""
    session = work.session
    return creation_apply.carry_out(work, lambda: _convert(work, session))


def _convert(work: Work[PostgresSession], session: PostgresSession) -> Json:
    args, held = work.action.args, Held()
    # A run that was killed after its commit left no outcome: then there is only the rest to do.
    parent = _converted(session, args)
    if parent is not None:
        return {"message": "it was converted already", "parent_oid": parent, **_ahead(work, session)}
    _same(session, args)
    _room(session, args)
    what = f"converting {names.display(args['parent']['schema'], args['parent']['name'])}"
    seconds = _proven(work, session, held, what)
    try:
        evidence = _exchange(work, session, held, what)
    except BaseException:
        with contextlib.suppress(UpkeepError, psycopg.Error):  # the next run removes what stays
            clean(session, args["parent"]["oid"], checkpoint=work.checkpoint, sleep=work.sleep)
        raise
    evidence |= {
        "validation_seconds": round(seconds, 3),
        "lock_seconds": round(held.longest, 4),
        "lock_attempts": held.times,
        **_ahead(work, session),
    }
    evidence["analyzed"] = _analyze(session, args)
    part = names.display(args["part"]["schema"], args["part"]["name"])
    evidence["message"] = f"the rows are in {part}; nobody waited for longer than {held.longest * 1000:.0f} ms for us"
    return evidence


def _converted(session: PostgresSession, args: Args) -> int | None:
    """Return the object id of the partitioned table of its name when the table is its partition by now."""
    found = observe.facts(session, [args["parent"]["oid"]])
    known = found.get(args["parent"]["oid"])
    if known is None or not known["is_partition"] or known["name"] != args["part"]["name"]:
        return None
    parent: int | None = session.rows("partition_creation/conversion/parts", {"oid": args["parent"]["oid"]})[0][
        "parent"
    ]
    rows = session.rows("partition_creation/table_name", {"oid": parent}) if parent else []
    wanted = (args["parent"]["schema"], args["parent"]["name"])
    return parent if rows and (rows[0]["schema"], rows[0]["name"]) == wanted else None


def _room(session: PostgresSession, args: Args) -> None:
    """Raise `StateChangedError` unless all rows, and writers for some time to come, are within the bounds.

    Looked at before the CHECK is there: it refuses such writers at once, not only when the rows have been checked.
    """
    axis = Axis(args["type"], ZoneInfo(args["zone"]), args["unit"])
    lower, upper = axis.read(args["lower"]), axis.read(args["upper"])
    try:
        found = observe.measure(session, args["facts"], args["key"])
    except psycopg.errors.LockNotAvailable as error:
        who = holders.held_by(session, [args["parent"]["oid"]])
        text = f"another session holds the table locked; the next run tries again{who}"
        raise LockNotObtainedError(text) from error
    except psycopg.errors.QueryCanceled as error:
        raise StateChangedError("the lowest and highest key can no longer be read in time; plan again") from error
    # The CHECK would find it as well, after reading the whole table, and refuse writers until then.
    if found["any_null"]:
        raise StateChangedError("there are rows without a key since it was planned; plan again")
    lowest, highest = (axis.read(found[key]) if found[key] is not None else None for key in ("lowest", "highest"))
    if (lowest is not None and lowest < lower) or (highest is not None and highest >= upper):
        text = f"rows reach from {found['lowest']} to {found['highest']} since it was planned; plan again"
        raise StateChangedError(text)
    known = [found["position"], highest] if axis.is_id else [axis.of(session.now())]
    if any(at is not None and upper - at < args["room"] for at in known):
        raise StateChangedError(f"writers have come near the bound {args['upper']} since it was planned; plan again")


def _proven(work: Work[PostgresSession], session: PostgresSession, held: Held, what: str) -> float:
    """See to it that the CHECK is there and proven; return the seconds of the validation."""
    args = work.action.args
    left = session.rows("partition_creation/conversion/leftover", {"oid": args["parent"]["oid"], "check": CHECK})
    usable = bool(left) and left[0]["marker"] == statements.marker(args)
    if left and not usable:
        clean(session, args["parent"]["oid"], checkpoint=work.checkpoint, sleep=work.sleep)
    # A killed run has read the table already: with the same bounds its proof still holds.
    if usable and left[0]["valid"]:
        return 0.0
    try:
        if not usable:
            _add_check(work, session, held, what)
        return _validate(work, session, what)
    except BaseException:
        with contextlib.suppress(UpkeepError, psycopg.Error):
            clean(session, args["parent"]["oid"], checkpoint=work.checkpoint, sleep=work.sleep)
        raise


def _add_check(work: Work[PostgresSession], session: PostgresSession, held: Held, what: str) -> None:
    args = work.action.args
    plain = table(args, "parent")

    def body() -> None:
        # Compared before the lock is asked for, so that nobody waits for the reading of catalogs.
        held.end()
        _same(session, args)
        held.begin()
        ddl.lock(session, plain, "access exclusive")
        for statement in statements.check(args):
            session.execute(statement)

    _attempt(work, session, body, held, what)


def _shared(locks: int) -> ddl.LockRetry:
    """Return the retry for so many locks, which wait one after the other while the first is held already."""
    return dataclasses.replace(RETRY, first_wait=RETRY.first_wait / locks, last_wait=RETRY.last_wait / locks)


def _attempt(
    work: Work[PostgresSession],
    session: PostgresSession,
    body: Callable[[], T],
    held: Held,
    what: str,
    *,
    locks: int = 1,
) -> T:
    quiet = [table(work.action.args, "parent")]
    retry, sleep = _shared(locks), _sleeping(work, held)
    try:
        return ddl.attempt(session, body, checkpoint=work.checkpoint, sleep=sleep, quiet=quiet, retry=retry, what=what)
    finally:
        held.end()


def _sleeping(work: Work[PostgresSession], held: Held) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        held.end()  # an attempt that failed has rolled back
        work.sleep(seconds)

    return sleep


def _validate(work: Work[PostgresSession], session: PostgresSession, what: str) -> float:
    statement = statements.validate(work.action.args)

    def body() -> float:
        started = time.monotonic()
        session.execute(statement)
        return time.monotonic() - started

    text = f"{what}: every row is checked"
    return ddl.attempt(session, body, checkpoint=work.checkpoint, sleep=work.sleep, retry=PROOF, what=text)


def _exchange(work: Work[PostgresSession], session: PostgresSession, held: Held, what: str) -> Json:
    args = work.action.args
    plain = table(args, "parent")
    oid = {"oid": args["parent"]["oid"]}

    def body() -> Json:
        held.end()
        _same(session, args)
        # What ATTACH has to join, and how many rows this transaction has read: compared with the same after it.
        before = session.rows("partition_creation/conversion/parts", oid)[0]
        # All that can be done beside goes before the lock: inside, each statement costs others their time.
        for statement in statements.prepare(args):
            session.execute(statement)
        held.begin()
        for statement in statements.locks(args, plain):
            session.execute(statement)
        # Views and functions can be made on a table without a lock that meets ours: so they are looked for once more.
        _independent(session, args)
        if rights_changed(args["facts"], observe.catalog_facts(session, [oid["oid"]])[oid["oid"]]):
            raise StateChangedError("rights to it were given or taken at the last moment; plan again")
        for statement in statements.exchange(args):
            session.execute(statement)
        after = session.rows("partition_creation/conversion/parts", oid)[0]
        _joined(before, after)
        # The catalog is asked whether all was carried over, while it can still be rolled back.
        missing = lost(args["facts"], observe.catalog_facts(session, [after["parent"]])[after["parent"]])
        if missing:
            raise ActionError(f"not carried over as it was: {', '.join(missing)}; rolled back")
        return {
            "parent_oid": after["parent"],
            "part_oid": oid["oid"],
            "rows_read_under_lock": after["rows_read"] - before["rows_read"],
        }

    return _attempt(work, session, body, held, what, locks=len(list(statements.locks(args, plain))))


def _same(session: PostgresSession, args: Args) -> None:
    """Raise `StateChangedError` unless the table is as it was planned, by its object id and all it carries."""
    known = observe.facts(session, [args["parent"]["oid"]]).get(args["parent"]["oid"])
    if known is None:
        raise StateChangedError("the table was dropped since it was planned")
    now, planned = (json.loads(json.dumps(facts)) for facts in (known, args["facts"]))
    changed = sorted(key for key in planned if now.get(key) != planned[key])
    if changed:
        raise StateChangedError(f"the table was altered since it was planned ({', '.join(changed)}); plan again")


def _independent(session: PostgresSession, args: Args) -> None:
    found = list(of_dependents(observe.dependents(session, args["parent"]["oid"])))
    if found:
        raise StateChangedError(f"since it was planned: {'; '.join(f.reason for f in found)}")


def _joined(before: Row, after: Row) -> None:
    """Raise `ActionError` unless ATTACH joined every index and foreign key, and made none."""
    files = {(i["oid"], i["file"]) for i in before["indexes"]}
    if files != {(i["oid"], i["file"]) for i in after["indexes"]} or not all(i["parent"] for i in after["indexes"]):
        raise ActionError("an index would have been built under the lock; rolled back")
    keys = {k["oid"] for k in before["foreign_keys"]}
    if keys != {k["oid"] for k in after["foreign_keys"]} or not all(k["parent"] for k in after["foreign_keys"]):
        raise ActionError("a foreign key would have been checked again under the lock; rolled back")


def _ahead(work: Work[PostgresSession], session: PostgresSession) -> Json:
    """Create the partitions ahead at once; what is not obtained now, the next run creates.

    Whatever goes wrong: the conversion is done, and must be on record as done, or it could not be taken back.
    """
    try:
        return _created_ahead(work, session)
    except (UpkeepError, psycopg.Error) as error:
        return {"created": [], "not_created": [str(error)]}


def _created_ahead(work: Work[PostgresSession], session: PostgresSession) -> Json:
    key = work.action.args["policy"]
    # This table's policy alone: the approval was for it, and the rest of the target is another action's.
    target = work.target.model_copy(update={"tables": {key: work.target.tables[key]}})
    seen = work.observation
    ask = Ask(seen.job, session, target, seen.at, Memory(), NOTHING_ASKED, seen.server)
    observation = creation_observe.observe(ask)
    created: list[str] = []
    missed: list[str] = []
    for action in creation_plan.plan(observation, target, NOTHING_ASKED).actions:
        if action.kind != creation_plan.KIND or action.subject != work.action.subject:
            continue
        if action.blocked is not None:
            missed.append(action.blocked[1])
            continue
        outcome = creation_apply.apply(dataclasses.replace(work, action=action, observation=observation))
        done = outcome.status is OutcomeStatus.DONE
        (created if done else missed).append(action.detail if done else f"{action.detail}: {outcome.message}")
    return {"created": created, **({"not_created": missed} if missed else {})}


def _analyze(session: PostgresSession, args: Args) -> bool:
    try:
        session.execute(statements.analyze(args))
    except (UpkeepError, psycopg.Error):  # statistics are a courtesy: the conversion is done
        return False
    return True
