"""Data retention on PostgreSQL: what is older than the policy goes, whole partitions or rows, kept or not.

The parts: `observe` reads, `view_from_frames` makes a view of each table with its cut-off,
`checks` says what forbids to delete, `plan` decides (with `row_plan` and `drop_plan`; `detached` says what a
detached table waits for), `apply` carries out with `detach`, `drop`, `reattach`, `archive_table` and `batches`,
the modules of `files` archive into files and bring rows back, `frames` shows the gates; here they are put together.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

import psycopg

from upkeep.engines import Session
from upkeep.errors import UpkeepError
from upkeep.fleet import Target
from upkeep.jobs.contract import RestoreRequest, RowBatch, Work, go_on
from upkeep.jobs.frames import of_stage
from upkeep.model import Action, Memory, Observation, Outcome, OutcomeStatus, Plan, ReasonCode, Stage
from upkeep.postgres import faults
from upkeep.postgres.data_retention import apply, examined_rows, frames, observe, plan, reattach
from upkeep.postgres.data_retention.detach import StateChangedError, Tools
from upkeep.postgres.data_retention.files import plan_restore
from upkeep.postgres.session import PostgresSession


class DataRetention:
    """The job; implements `upkeep.jobs.contract.Job`."""

    name: Final = "data_retention"

    def observe(self, session: Session, target: Target, at: datetime, memory: Memory) -> Observation:
        """Read what the plan and the gates need, in four queries when nothing is due; change nothing."""
        return observe.observe(cast("PostgresSession", session), target, at, memory)

    def plan(self, observation: Observation, target: Target) -> Plan:
        """Decide; pure."""
        return plan.plan(observation, target)

    def frames(
        self, observation: Observation, target: Target, stage: Stage, plan: Plan | None, outcomes: Sequence[Outcome]
    ) -> Mapping[str, list[dict[str, Any]]]:
        """Return the tables that the stage's suite looks at."""
        return of_stage(frames, observation, target, stage, plan, outcomes)

    def apply(self, work: Work) -> Outcome:
        """Carry one action out."""
        return apply.apply(work)

    def doomed_rows(self, work: Work) -> Iterator[RowBatch]:
        """Yield the rows that an action would remove; implements `upkeep.jobs.contract.Examines`."""
        return examined_rows.batches(work)

    def plan_restore(self, session: Session, target: Target, request: RestoreRequest, observation: Observation) -> Plan:
        """Return what a restore from archive files would load; implements `upkeep.jobs.contract.Restores`."""
        return plan_restore.plan(cast("PostgresSession", session), target, request, observation)

    def undo(self, session: Session, action: Action, outcome: Outcome) -> Outcome:
        """Re-attach a partition that was detached and not dropped yet; nothing else can be taken back here."""
        started = time.monotonic()
        status, code, text = OutcomeStatus.DONE, None, ""
        try:
            text = _take_back(cast("PostgresSession", session), action, outcome)
        except StateChangedError as error:
            status, code, text = OutcomeStatus.SKIPPED, ReasonCode.NOT_SUPPORTED, str(error)
        except (UpkeepError, psycopg.Error) as error:
            status, code = OutcomeStatus.FAILED, ReasonCode.ERROR
            text = faults.describe(error) if isinstance(error, psycopg.Error) else str(error)
        return Outcome(
            action_id=action.id,
            status=status,
            reason_code=code,
            message=text,
            seconds=time.monotonic() - started,
            evidence={"oid": outcome.evidence.get("oid")} if outcome.evidence.get("oid") else {},
        )


def _take_back(session: PostgresSession, action: Action, outcome: Outcome) -> str:
    if action.kind != "detach_partition":
        raise StateChangedError(_cannot(action))
    return reattach.reattach(Tools(session, go_on, time.sleep), outcome.evidence)


def _cannot(action: Action) -> str:
    if action.kind.startswith("archive"):
        if "files" in action.args:
            return f"the rows are in files: upkeep restore-archive --table '{action.subject}' brings them back"
        into = (action.args.get("archive") or {}).get("name", "the archive")
        return f"the rows are in {into}: copy them back by hand; Upkeep does not undo an archiving"
    if action.kind == "analyze":
        return "no row went: there is nothing to take back"
    return "what was deleted comes back only from a backup"


JOB: Final = DataRetention()
