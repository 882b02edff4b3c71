"""What was about to be done, and what became of it: intents, notes, outcomes, and the memory made of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from upkeep.errors import ConfigurationError
from upkeep.ledger import codec
from upkeep.ledger.backups import backup
from upkeep.ledger.base import Part
from upkeep.ledger.control import Row
from upkeep.ledger.records import DoneAction
from upkeep.model import Action, FindingStatus, Json, Memory, Outcome, Plan, Severity

_MEMORY: Final = {
    "detached": "detached_partitions",
    "intents": "open_intents",
    "locations": "known_locations",
    "expiries": "known_expiries",
    "looks": "recent_looks",
    "ages": "job_ages",
    "endings": "recent_endings",
    "backups": "known_backups",
}
"""Part of the memory → the statement that recalls it."""


class Actions(Part):
    """The part of the ledger that knows what was done."""

    def intend(self, run_id: str, target: str, job: str, action: Action) -> None:
        """Write down, before its first statement, that an action is about to be carried out."""
        self._write(
            "intend",
            run_id=run_id,
            target=target,
            job=job,
            action_id=action.id,
            action_kind=action.kind,
            body=codec.jsonb(action.model_dump(mode="json")),
        )

    def note(self, run_id: str, target: str, action_id: str, note: Json) -> None:
        """Write progress under an action's intent: what the next run needs after a kill."""
        self._write("note", run_id=run_id, target=target, action_id=action_id, body=codec.jsonb(note))

    def record(self, run_id: str, target: str, outcome: Outcome) -> None:
        """Write an outcome. It closes the intent of its own run; ``done`` closes those of earlier runs too."""
        self._write(
            "record",
            run_id=run_id,
            target=target,
            action_id=outcome.action_id,
            event=outcome.status.value,
            body=codec.jsonb(outcome.model_dump(mode="json")),
        )

    def in_a_row(self, run_id: str, target: str, job: str, action: Action, code: str) -> tuple[int, datetime | None]:
        """Return how many runs just before this one ended the same action for that reason, and since when."""
        rows = self._fetch(
            "earlier_endings",
            run_id=run_id,
            target=target,
            job=job,
            action_kind=action.kind,
            subject=action.subject,
            intent=action.intent,
            code=code,
        )
        count, since = 0, None
        for row in itertools.takewhile(lambda row: row["same"], rows):
            count, since = count + 1, row["at"].astimezone(UTC)
        return count, since

    def memory(
        self, target: str, job: str, wanted: Collection[str] = tuple(_MEMORY), others: Collection[str] = ()
    ) -> Memory:
        """Return the parts of the memory that a job wants to remember, one query each.

        Parameters
        ----------
        others
            Jobs whose endings it wants to know.

        Returns
        -------
        Memory
            ``intents``: action JSON with ``run_id``, ``intended_at`` (ISO) and ``notes`` (a list), newest last.
            ``detached``: object id → evidence, with ``run_id``, ``action_id`` and ``recorded_at`` where it has none.
            ``locations``: archive location → the mark that lay there.
            ``expiries``: a collection's uuid → the expiry that it was given last.
            ``looks``: the last looks, newest first. ``ages``: how long ago each job ended well.
            ``endings``: how the last runs of the others ended. ``backups``: those that have not expired, newest first.
        """
        recall: Mapping[str, Callable[[list[Row]], Any]] = {
            "detached": lambda rows: {row["object_oid"]: _evidence(row) for row in rows},
            "intents": lambda rows: [_intent(row) for row in rows],
            "locations": lambda rows: {row["location"]: row["location_id"] for row in rows},
            "expiries": lambda rows: {
                row["uuid"]: {**row, "recorded_at": row["recorded_at"].isoformat()} for row in rows
            },
            "looks": lambda rows: [{**row, "at": row["at"].isoformat()} for row in rows],
            "ages": lambda rows: [dict(row) for row in rows],
            "endings": lambda rows: [_ending(row) for row in rows],
            "backups": lambda rows: [backup(row) for row in rows],
        }
        values = {"target": target, "job": job, "others": list(others), "expired": False}
        parts = {name: recall[name](self._fetch(_MEMORY[name], **values)) for name in wanted}
        return Memory(**parts)

    def done_actions(self, what: str) -> list[DoneAction]:
        """Return what a run (its id or a unique beginning) or an action (its id, the last time) has done.

        Newest first, without what was taken back since.

        Raises
        ------
        ConfigurationError
            Several runs begin so, or the action was done on several targets.
        """
        runs = self._fetch("find_runs", prefix=what) if what else []
        if len(runs) > 1 and runs[0]["run_id"] != what:
            raise ConfigurationError(f"several runs begin with '{what}'; write more of the id")
        if runs:
            rows = self._fetch("done_actions", run_id=runs[0]["run_id"], action_id=None)
            return [_done(row) for row in rows]
        rows = self._fetch("done_actions", run_id=None, action_id=what)
        if len({row["target"] for row in rows}) > 1:
            raise ConfigurationError(f"action {what} was done on several targets; name the run instead (`upkeep runs`)")
        return [_done(row) for row in rows[:1]]


def _intent(row: Row) -> dict[str, Any]:
    return {
        **row["action"],
        "run_id": row["run_id"],
        "intended_at": row["intended_at"].isoformat(),
        "notes": row["notes"],
    }


def _evidence(row: Row) -> dict[str, Any]:
    known = {"run_id": row["run_id"], "action_id": row["action_id"], "recorded_at": row["recorded_at"].isoformat()}
    return {**known, **row["evidence"]}


def _ending(row: Row) -> dict[str, Any]:
    plan = Plan.model_validate(codec.unpack(row["content"])) if row["content"] is not None else None
    outcomes = [
        {
            "subject": action.subject,
            "kind": action.kind,
            "status": body["status"],
            "reason": body["reason_code"],
            "message": body["message"],
        }
        for action in (plan.actions if plan is not None else ())
        if (body := row["outcomes"].get(action.id)) is not None
    ]
    said = [
        {"subject": found.subject, "summary": found.summary}
        for found in (plan.findings if plan is not None else ())
        if found.status is FindingStatus.FINDING and found.severity is not Severity.INFO
    ]
    known = {key: row[key] for key in ("job", "run_id", "status", "error", "usual_seconds")}
    at = row["finished_at"].astimezone(UTC).isoformat()
    return {**known, "at": at, "outcomes": outcomes, "findings": said}


def _done(row: Row) -> DoneAction:
    return DoneAction(
        run_id=row["run_id"],
        target=row["target"],
        job=row["job"],
        action=Action.model_validate(row["action"]),
        outcome=Outcome.model_validate(row["outcome"]),
    )
