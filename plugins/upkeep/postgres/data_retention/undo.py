"""Taking back what retention did on PostgreSQL: a partition that was detached and not dropped yet is attached again."""

from __future__ import annotations

import time

import psycopg

from upkeep.errors import CancelledError, LeaseLostError, StopError, UpkeepError
from upkeep.jobs.contract import Work
from upkeep.model import Action, Outcome, OutcomeStatus, ReasonCode
from upkeep.postgres import faults
from upkeep.postgres.data_retention import reattach
from upkeep.postgres.data_retention.detach import StateChangedError, Tools
from upkeep.postgres.session import PostgresSession


def undo(work: Work[PostgresSession], outcome: Outcome) -> Outcome:
    """Re-attach a partition that was detached and not dropped yet; nothing else can be taken back here."""
    started = time.monotonic()
    status, code, text = OutcomeStatus.DONE, None, ""
    try:
        text = _take_back(work, outcome)
    except StateChangedError as error:
        status, code, text = OutcomeStatus.SKIPPED, ReasonCode.NOT_SUPPORTED, str(error)
    except (LeaseLostError, StopError, CancelledError):
        raise
    except (UpkeepError, psycopg.Error) as error:
        status, code = OutcomeStatus.FAILED, ReasonCode.ERROR
        text = faults.describe(error) if isinstance(error, psycopg.Error) else str(error)
    return Outcome(
        action_id=work.action.id,
        status=status,
        reason_code=code,
        message=text,
        seconds=time.monotonic() - started,
        evidence={"oid": outcome.evidence.get("oid")} if outcome.evidence.get("oid") else {},
    )


def _take_back(work: Work[PostgresSession], outcome: Outcome) -> str:
    if work.action.kind != "detach_partition":
        raise StateChangedError(_cannot(work.action))
    return reattach.reattach(Tools(work.session, work.checkpoint, work.sleep), outcome.evidence)


def _cannot(action: Action) -> str:
    if action.kind.startswith("archive"):
        if "files" in action.args:
            return f"the rows are in files: upkeep restore-archive --table '{action.subject}' brings them back"
        into = (action.args.get("archive") or {}).get("name", "the archive")
        return f"the rows are in {into}: copy them back by hand; Upkeep does not undo an archiving"
    if action.kind == "analyze":
        return "no row went: there is nothing to take back"
    return "what was deleted comes back only from a backup"
