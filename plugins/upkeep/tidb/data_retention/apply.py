"""Carrying one action of retention out, and taking back what can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from upkeep.fleet import RetainPolicy
from upkeep.jobs import outcomes
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import LockNotObtainedError, RefusedError, StateChangedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Action, Outcome
from upkeep.tidb import faults, holders, server
from upkeep.tidb.catalog import Planned, partitions_of
from upkeep.tidb.data_retention import covered, detach, drop, merge, reattach
from upkeep.tidb.data_retention.args import Detached, Detaching, Dropping, Leftover, OfPartition, Rows
from upkeep.tidb.data_retention.batches import Sweep, evidence
from upkeep.tidb.data_retention.covered import CoveredSweep
from upkeep.tidb.data_retention.doomed import Doomed
from upkeep.tidb.data_retention.view_from_frames import retain_policies
from upkeep.tidb.ddl import Tools
from upkeep.tidb.names import parse
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.sql import Sql


def _tools(work: Work[TiDBSession]) -> Tools:
    return Tools(work.session, work.checkpoint, work.sleep)


def _detach(work: Work[TiDBSession], done: DoneSoFar) -> None:
    args = Detaching.of(work.action)
    policy = _policy_of(work, args.table)
    tools, within = _tools(work), _within(work)
    found = detach.detach(tools, args, grace=policy.grace, zone=policy.zone, within=within)
    done.take({"planned_rows": work.action.rows, **found})
    done.rows = work.action.rows


def _merge(work: Work[TiDBSession], done: DoneSoFar) -> None:
    done.take(merge.merge(_tools(work), OfPartition.of(work.action)))


def _drop(work: Work[TiDBSession], done: DoneSoFar) -> None:
    done.take(drop.drop(_tools(work), Dropping.of(work.action), _within(work)))
    done.rows, done.bytes = work.action.rows, work.action.bytes


def _leftover(work: Work[TiDBSession], done: DoneSoFar) -> None:
    done.take(drop.remove_leftover(_tools(work), Leftover.of(work.action)))


def _within(work: Work[TiDBSession]) -> detach.Within:
    """Return what looks at a whole object again before it goes: counts it, where that was approved or planned long ago.

    Where it cannot be counted in time, statistics decide. Where a backup is required, it is compared with that.
    """

    def require(source: Sql, statistics: int) -> None:
        covered.require_whole(work, source)
        # only where a person approved a number, or the plan is old: a count of a whole partition is not free
        if work.most is not None:
            counted = server.count(work.session, source, Sql("true"), work.most + 1)
            work.allow(statistics if counted is None else counted)

    return require


def _rows(work: Work[TiDBSession], done: DoneSoFar) -> None:
    """Delete or move the due rows that the action names, in batches."""
    args, session = Rows.of(work.action), work.session
    how = (session, args, work.checkpoint, work.sleep, work.action.rows, work.most, work.allow)
    sweep = Sweep(*how) if work.backup is None else CoveredSweep(*how, ranges=covered.ranges(work, args))
    emptied = False
    try:
        _same_table(session, args)
        emptied = sweep.run(Doomed.of(args))
    finally:
        done.rows = sweep.tally.rows
        done.evidence = evidence(sweep, emptied=emptied)
    if sweep.tally.held:
        raise LockNotObtainedError(f"{sweep.tally.held} range(s) were left to the next run: {sweep.tally.last_error}")
    if isinstance(sweep, CoveredSweep):
        covered.tell(work, sweep, done)


def _same_table(session: TiDBSession, args: Rows) -> None:
    # a partition's name can be given to another one between plan and now, and the statements name it
    here = partitions_of(session, args.table)
    if args.partition is not None and not any(p.name == args.partition and p.id == args.oid for p in here):
        raise StateChangedError(f"{args.partition} is not the partition any more that was planned for")


def _policy_of(work: Work[TiDBSession], table: Planned) -> RetainPolicy:
    """Return the policy that an action's table belongs to: an exact name wins over globs."""
    database = work.session.database
    fitting = [
        (pattern.is_glob, policy.retain)
        for name, policy in retain_policies(work.target).items()
        if (pattern := parse(name)).matches(table.schema, table.name, database) and policy.retain is not None
    ]
    if not fitting:
        raise StateChangedError(f"the fleet file says nothing of {work.action.subject} any more")
    return min(fitting, key=lambda one: one[0])[1]


_KINDS: Final[Mapping[str, Callable[[Work[TiDBSession], DoneSoFar], None]]] = {
    "detach_partition": _detach,
    "merge_partitions": _merge,
    "drop_partition": _drop,
    "remove_leftover": _leftover,
    "delete_rows": _rows,
    "archive_rows": _rows,
    "archive_partition": _rows,
}


def apply(work: Work[TiDBSession]) -> Outcome:
    """Carry one action out; raises what stops the run."""
    do = _KINDS[work.action.kind]
    outcome = outcomes.carry_out(work.action, lambda done: do(work, done), faults.classify, note=work.note)
    return holders.named(work, outcome)


# -- taking back -------------------------------------------------------------------------------------


def undo(work: Work[TiDBSession], outcome: Outcome) -> Outcome:
    """Put a partition back that was detached and not dropped yet; nothing else can be taken back here."""
    action = work.action

    def take_back(done: DoneSoFar) -> None:
        if action.kind != "detach_partition":
            raise RefusedError(_cannot(action))
        args = Detached.of(action)
        done.message = reattach.put_back(_tools(work), args)
        done.evidence = {"oid": outcome.evidence.get("oid", args.oid)}

    return outcomes.carry_out(action, take_back, faults.classify)


def _cannot(action: Action) -> str:
    if action.kind.startswith("archive"):
        archive = Rows.of(action).archive
        into = archive.name if archive is not None else "the archive"
        return f"the rows are in {into}: copy them back by hand; Upkeep does not undo an archiving"
    if action.kind in ("merge_partitions", "remove_leftover"):
        return "no row went: there is nothing to take back"
    return "what was deleted comes back only from a backup"
