"""Partition creation on TiDB: what is declared ahead exists.

RANGE and RANGE COLUMNS by one column of time or whole numbers, INTERVAL partitioning included. The parts:
`care` judges each table, `upkeep.jobs.partition_creation.layout` works out what is missing, `plan`
decides, `apply` carries out through `ddl`; here is what is read, and the job.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

import pymysql

from upkeep.engines import Session
from upkeep.fleet import Target
from upkeep.jobs.contract import Work
from upkeep.jobs.partition_creation import limits
from upkeep.model import Action, Memory, Observation, Outcome, Plan, Stage
from upkeep.tidb import catalog, create_text, ddl, faults, holders, names, server, sql
from upkeep.tidb.partition_creation import apply, plan
from upkeep.tidb.partition_creation.care import Care, cares, with_divided
from upkeep.tidb.session import Row, TiDBSession

LOOK_BACK: Final = 50
"""Partitions of ids that are looked into, from the newest, for the highest id."""
_SERVER: Final = (
    *("subject", "reachable", "is_replica", "version", "version_tested"),
    *("longest_transaction_seconds", "disk_free_bytes"),
)


class PartitionCreation:
    """The job; implements `upkeep.jobs.contract.Job`."""

    name: Final = "partition_creation"

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need; change nothing."""
        return observe(cast("TiDBSession", session), target, at)

    def plan(self, observation: Observation, target: Target) -> Plan:
        """Decide; pure."""
        return plan.plan(observation, target)

    def frames(
        self, observation: Observation, target: Target, stage: Stage, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return the tables that the stage's suite looks at."""
        found = cares(observation.frames, target, observation.at)
        if stage == "before":
            row = {column: observation.frames["server"][0][column] for column in _SERVER}
            jobs = observation.frames["jobs"]
            return {"server": [row], "tables": [_before(c, jobs) for c in found if c.table or not c.later]}
        tables = [_after(c, plan) for c in found if c.layout is not None or (c.later and c.table)]
        return {"tables": tables, "outcomes": _outcomes(plan, outcomes)}

    def apply(self, work: Work) -> Outcome:
        """Add the partitions that one table lacks."""
        return holders.named(work.session, work.action, apply.apply(work))

    def undo(self, session: Session, action: Action, outcome: Outcome) -> Outcome:
        """Drop the partitions while they are empty."""
        return holders.named(session, action, apply.undo(cast("TiDBSession", session), action, outcome))


def observe(session: TiDBSession, target: Target, at: datetime) -> Observation:
    """Read the catalog in a few queries; count only where something is missing."""
    patterns = [names.parse(key) for key, policy in target.subjects().items() if policy.partition is not None]
    tables = catalog.tables(session, patterns)
    frames: dict[str, list[Row]] = {"server": [server.observe(session)], "tables": tables}
    frames["no_tables"] = catalog.no_tables(session, patterns, tables)
    frames["partitions"] = catalog.of_tables(session, "partitions", tables, "p")
    frames["columns"] = catalog.of_tables(session, "columns", tables, "c")
    frames["temporary"] = list(_temporary(session, tables, frames["partitions"]))
    frames["jobs"] = ddl.jobs(session)
    found = cares(frames, target, at)
    if any(care.scale is not None and care.scale.axis.is_id for care in found):
        frames["ids"] = list(_ids(session, found))
        found = cares(frames, target, at)
    frames["numbers"] = list(_numbers(session, found))
    if frames["numbers"]:
        found = cares(frames, target, at)
    frames["maxvalue"] = [_divided(session, care) for care, _ in with_divided(found)]
    return Observation.model_construct(  # all made here: nothing to validate, and the frames stay the same lists
        target=target.name,
        engine="tidb",
        job="partition_creation",
        identity=session.identity,
        version=session.version,
        at=at,
        frames=frames,
    )


def _temporary(session: TiDBSession, tables: Iterable[Row], partitions: Iterable[Row]) -> Iterator[Row]:
    """Yield which tables without partitions are temporary ones; only their definition tells."""
    partitioned = {(row["schema"], row["table"]) for row in partitions}
    for row in tables:
        if (row["schema"], row["name"]) in partitioned:
            continue
        with contextlib.suppress(pymysql.MySQLError):  # gone meanwhile
            if create_text.is_temporary(ddl.show_create(session, row["schema"], row["name"])):
                yield {"id": row["id"]}


def _ids(session: TiDBSession, found: Iterable[Care]) -> Iterator[Row]:
    """Yield where each table of plain ids stands: the highest id in its newest partitions."""
    for care in found:
        if care.scale is None or not care.scale.axis.is_id or care.table is None:
            continue
        newest = [p.name for _, p in care.partitions[-LOOK_BACK:]]
        newest += [care.maxvalue.name] if care.maxvalue is not None else []
        row: Row = {"id": care.table.id, "at": None}
        for name in reversed(newest):
            parts = {"table": care.table.identifier, "partition": sql.identifier(name)}
            try:
                highest = session.rows(
                    "partition_creation/max_key", key=sql.identifier(care.scale.key.column), **parts
                )[0]["highest"]
            except pymysql.MySQLError as error:
                row["unknown"] = faults.describe(error)
                break
            if highest is not None:
                row["at"] = int(highest)
                break
        yield row


def _numbers(session: TiDBSession, found: Iterable[Care]) -> Iterator[Row]:
    """Yield some numbers of each key whose bounds do not tell whether they are times in the unit declared."""
    for care in found:
        if care.table is None or care.scale is None or care.layout is None or not limits.counts_time(care.scale.axis):
            continue
        if not limits.told_by(span for span, _ in care.partitions):
            numbers = server.sample(session, care.table.identifier, care.scale.key.column)
            yield {"id": care.table.id, "numbers": numbers}


def _divided(session: TiDBSession, care: Care) -> Row:
    """Count the rows of the partition that is to be divided, and those where partitions are missing."""
    table, last, scale = care.table, care.divided, care.scale
    assert table is not None and last is not None and scale is not None  # noqa: S101, PT018 - as with_divided says
    source = sql.fill("{t} partition ({p})", t=table.identifier, p=sql.identifier(last.name))
    most = care.policy.move_default_rows + 1
    rows = server.count(session, source, sql.Sql("true"), most)
    inside: int | None = 0
    if rows and care.new_bounds and care.maxvalue is not None:
        below = sql.fill("{k} < {b}", k=scale.key.expression, b=scale.bound(care.new_bounds[-1]))
        inside = server.count(session, source, below, most)
    return {"id": table.id, "rows": rows, "inside": inside}


def _before(care: Care, jobs: Iterable[Row]) -> dict[str, Any]:
    """Return a table's row. What is only not available has its finding: nothing will be done, nothing is wrong."""
    table = care.table
    waiting = [j["seconds"] for j in jobs if table is not None and ddl.is_on(j, table.schema, table.name)]
    return {
        "subject": care.subject,
        "exists": table is not None or care.is_other,
        "supported": (table is None and not care.is_other) or care.problem is None or care.later,
        "owned": True,  # TiDB has no owners; a missing privilege fails the statement before anything changes
        "detach_pending": False,
        "blocking_seconds": max(waiting, default=0.0),
    }


def _after(care: Care, plan: Plan | None) -> dict[str, Any]:
    layout, rows = care.layout, care.max_rows
    findings = plan.findings if plan is not None else ()
    reported = any(f.subject == care.subject and f.check.startswith("default_") for f in findings)
    return {
        "subject": care.subject,
        "ahead_missing": layout.ahead_missing if layout is not None else 0,
        "gaps": layout.gaps if layout is not None else 0,
        "overlaps": layout.overlaps if layout is not None else 0,
        "default_rows": rows,
        "default_rows_reported": rows or 0 if reported else 0,
        "default_rows_unreported": 0 if reported else rows or 0,
    }


def _outcomes(plan: Plan | None, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    actions = {action.id: action for action in plan.actions} if plan is not None else {}
    rows = []
    for outcome in outcomes:
        action = actions.get(outcome.action_id)
        rows.append(
            {
                "subject": action.subject if action is not None else outcome.action_id,
                "kind": action.kind if action is not None else None,
                "status": outcome.status.value,
                "reason_code": outcome.reason_code.value if outcome.reason_code is not None else None,
                "rows_copied": None,  # TiDB copies and proves them itself
                "rows_deleted": None,
            }
        )
    return rows


JOB: Final = PartitionCreation()
