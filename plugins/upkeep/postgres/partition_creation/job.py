"""Partition creation on PostgreSQL: what is declared ahead exists, gaps are filled, defaults are drained.

Range partitions by one column of time or whole numbers, list and hash partitions by one column, and one level
of sub-partitions of any of these. The parts: `observe` reads, `tree` and `care`
judge each table, `jobs.partition_creation.layout` and `sets` work out what is missing, `plan` decides,
`apply` makes one partition; the modules of `conversion` make the first one of a plain table; here they
are put together as the job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

from upkeep.engines import Session
from upkeep.fleet import Target
from upkeep.jobs.contract import Work
from upkeep.jobs.frames import outcome_row
from upkeep.model import Action, Memory, Observation, Outcome, Plan, Stage
from upkeep.postgres.partition_creation import apply, observe, plan
from upkeep.postgres.partition_creation.conversion import apply as conversion_apply
from upkeep.postgres.partition_creation.conversion import plan as conversion_plan
from upkeep.postgres.partition_creation.conversion import undo as conversion_undo
from upkeep.postgres.partition_creation.model import Care
from upkeep.postgres.partition_creation.tree import cares
from upkeep.postgres.session import PostgresSession

_SERVER: Final = (
    "subject",
    "reachable",
    "is_replica",
    "version",
    "version_tested",
    "longest_transaction_seconds",
    "disk_free_bytes",
)


class PartitionCreation:
    """The job; implements `upkeep.jobs.contract.Job`."""

    name: Final = "partition_creation"

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need, in three queries when nothing is missing; change nothing."""
        return observe.observe(cast("PostgresSession", session), target, at)

    def plan(self, observation: Observation, target: Target) -> Plan:
        """Decide; pure."""
        return plan.plan(observation, target)

    def frames(
        self, observation: Observation, target: Target, stage: Stage, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return the tables that the stage's suite looks at."""
        found = cares(observation.frames, target, observation.at)
        if stage == "before":
            server = {column: observation.frames["server"][0][column] for column in _SERVER}
            blockers = {row["oid"]: row["seconds"] for row in observation.frames["blockers"]}
            return {"server": [server], "tables": [_before(c, blockers) for c in found if c.relation or not c.later]}
        defaults = {row["parent"]: row for row in observation.frames["defaults"]}
        tables = [_after(c, defaults, plan) for c in found if c.ready or (c.later and c.relation)]
        actions = {action.id: action for action in plan.actions} if plan is not None else {}
        rows = [outcome_row(actions.get(o.action_id), o, evidence=("rows_copied", "rows_deleted")) for o in outcomes]
        return {"tables": tables, "outcomes": rows}

    def apply(self, work: Work) -> Outcome:
        """Make one partition, or convert a plain table."""
        if work.action.kind == conversion_plan.KIND:
            return conversion_apply.apply(work)
        return apply.apply(work)

    def undo(self, session: Session, action: Action, outcome: Outcome) -> Outcome:
        """Detach and drop the partition while it is empty; put a plain table back."""
        if action.kind == conversion_plan.KIND:
            return conversion_undo.undo(cast("PostgresSession", session), action, outcome)
        return apply.undo(cast("PostgresSession", session), action, outcome)


def _before(care: Care, blockers: Mapping[int, float | None]) -> dict[str, Any]:
    """Return a table's row. What is only not available yet has its finding: nothing will be done, nothing is wrong."""
    relation = care.relation
    held = [relation.oid] if relation is not None else []
    held += [care.default.oid] if care.default is not None else []
    return {
        "subject": care.subject,
        "exists": relation is not None,
        "supported": relation is None or care.problem is None or care.later,
        "owned": relation is None or care.later or (relation.may_alter and relation.may_create),
        "detach_pending": bool(care.pending),
        "blocking_seconds": max((blockers[oid] or 0.0 for oid in held if oid in blockers), default=0.0),
    }


def _after(care: Care, defaults: Mapping[int, Mapping[str, Any]], plan: Plan | None) -> dict[str, Any]:
    layout, relation = care.layout, care.relation
    declared_missing = care.sets.absent if care.sets is not None else 0
    default = defaults.get(relation.oid) if relation is not None else None
    unknown = default is not None and default["unknown"]
    rows = sum(bucket["rows"] for bucket in default["buckets"]) if default is not None else 0
    findings = plan.findings if plan is not None else ()
    reported = any(f.subject == care.subject and f.check.startswith("default_") for f in findings)
    return {
        "subject": care.subject,
        "ahead_missing": layout.ahead_missing if layout is not None else declared_missing,
        "gaps": layout.gaps if layout is not None else 0,
        "declared_missing": declared_missing,
        "overlaps": layout.overlaps if layout is not None else 0,
        "default_rows": None if unknown else rows,
        "default_rows_reported": rows if reported else 0,
        "default_rows_unreported": 0 if reported or unknown else rows,
    }


JOB: Final = PartitionCreation()
