"""Partition creation on MongoDB: collections, time-series options, validators and indexes are as declared.

MongoDB has no partitions; what its owner declares about the shape of a collection is made here. What is missing is
created; what differs is reported with the exact command, and corrected where the server changes it in place and the
policy says ``corrections: apply``. The parts: `catalog` reads, `specs` compares, `care` puts each declared
collection beside what is there, `plan` decides, `apply` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from pymongo.errors import OperationFailure

from upkeep.engines import Session
from upkeep.fleet import Target
from upkeep.jobs.contract import Work
from upkeep.model import Action, Memory, Observation, Outcome, Plan, Stage
from upkeep.mongo import catalog
from upkeep.mongo.catalog import CREATES
from upkeep.mongo.partition_creation import apply, plan
from upkeep.mongo.partition_creation.care import Care, cares
from upkeep.mongo.session import Doc, MongoSession

UNFIT_MS: Final = 5_000
"""How long documents that a new validator would refuse are looked for."""
UNFIT_LIMIT: Final = 1_000


class PartitionCreation:
    """The job; implements `upkeep.jobs.contract.Job`."""

    name: Final = "partition_creation"

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need; change nothing."""
        mongo = cast("MongoSession", session)
        wanted = list(target.declared(self.name))
        frames: dict[str, list[dict[str, Any]]] = {
            "server": [catalog.server(mongo)],
            "collections": catalog.collections(mongo, wanted),
            "validators": list(_files(target)),
            "facts": [],
        }
        granted = catalog.privileges(mongo)
        frames["facts"] = [_facts(mongo, care, granted) for care in cares(frames, target)]
        return Observation(
            target=target.name,
            engine="mongo",
            job=self.name,
            identity=mongo.identity,
            version=mongo.version,
            at=at,
            frames=frames,
        )

    def plan(self, observation: Observation, target: Target) -> Plan:
        """Decide; pure."""
        return plan.plan(observation, target)

    def frames(
        self, observation: Observation, target: Target, stage: Stage, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return the tables that the stage's suite looks at."""
        found = cares(observation.frames, target)
        if stage == "before":
            server = observation.frames["server"][0]
            waits = server["longest_transaction_seconds"]
            return {"server": [server], "tables": [_before(care, waits) for care in found]}
        return {"tables": [_after(care, plan) for care in found], "outcomes": _outcomes(plan, outcomes)}

    def apply(self, work: Work) -> Outcome:
        """Carry one action out."""
        return apply.apply(work)

    def undo(self, session: Session, action: Action, outcome: Outcome) -> Outcome:
        """Drop what was created while it is empty, restore what was changed."""
        return apply.undo(cast("MongoSession", session), action, outcome)


def _files(target: Target) -> Iterator[Doc]:
    """Yield the validator files that the policies name."""
    paths = {p.validator for p in target.collections.values() if p.validator is not None}
    for path in sorted(paths):
        try:
            yield {"path": path, "text": Path(path).read_text(encoding="utf-8"), "error": None}
        except (OSError, UnicodeDecodeError) as error:
            yield {"path": path, "text": None, "error": f"cannot be read: {type(error).__name__}"}


def _facts(session: MongoSession, care: Care, granted: list[Doc] | None) -> Doc:
    may = all(catalog.allowed(granted, session.database.name, care.subject, action) for action in CREATES)
    return {"name": care.subject, "may": may, "unfit": _unfit(session, care)}


def _unfit(session: MongoSession, care: Care) -> int | None:
    """Return how many documents the declared validator would refuse, up to a limit; ``None``: not asked, not known."""
    if care.validator is None or not any(d.check == "validator" for d in care.differences):
        return None
    refused = {"$nor": [care.validator["validator"]]}
    try:
        return session.database[care.subject].count_documents(refused, limit=UNFIT_LIMIT, maxTimeMS=UNFIT_MS)
    except OperationFailure:
        return None


def _before(care: Care, waits: float) -> dict[str, Any]:
    """Return a collection's row. One that is not there will be made: that is the job, and nothing is wrong."""
    return {
        "subject": care.subject,
        "exists": care.row is not None or care.to_create,
        "supported": care.supported,
        "owned": care.may,
        "detach_pending": False,
        "blocking_seconds": waits,
    }


def _after(care: Care, plan: Plan | None) -> dict[str, Any]:
    known = {(f.subject, f.check) for f in (plan.findings if plan else ())}
    silent = [d for d in care.differences if (care.subject, d.check) not in known]
    return {
        "subject": care.subject,
        "ahead_missing": len(care.missing_indexes) + (care.row is None and care.to_create),
        "gaps": 0,
        "overlaps": 0,
        "default_rows": 0,
        "default_rows_unreported": 0,
        "differences_unreported": len(silent),
    }


def _outcomes(plan: Plan | None, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    actions = {action.id: action for action in plan.actions} if plan is not None else {}
    return [
        {
            "subject": actions[o.action_id].subject if o.action_id in actions else o.action_id,
            "kind": actions[o.action_id].kind if o.action_id in actions else None,
            "status": o.status.value,
            "rows_copied": None,
            "rows_deleted": None,
        }
        for o in outcomes
    ]


JOB: Final = PartitionCreation()
