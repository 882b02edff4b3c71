"""Taking back what retention did on PostgreSQL: a partition that was detached and not dropped yet is attached again."""

from __future__ import annotations

from upkeep.jobs import outcomes
from upkeep.jobs.contract import Work
from upkeep.jobs.errors import RefusedError
from upkeep.jobs.outcomes import DoneSoFar
from upkeep.model import Action, Outcome
from upkeep.postgres import faults
from upkeep.postgres.data_retention import reattach
from upkeep.postgres.data_retention.detach import Tools
from upkeep.postgres.session import PostgresSession


def undo(work: Work[PostgresSession], outcome: Outcome) -> Outcome:
    """Re-attach a partition that was detached and not dropped yet; nothing else can be taken back here."""

    def take_back(done: DoneSoFar) -> None:
        done.evidence = {"oid": outcome.evidence["oid"]} if outcome.evidence.get("oid") else {}
        if work.action.kind != "detach_partition":
            raise RefusedError(_cannot(work.action))
        done.message = reattach.reattach(Tools(work.session, work.checkpoint, work.sleep), outcome.evidence)

    return outcomes.carry_out(work.action, take_back, lambda error: faults.classify(error, work.session.connection))


def _cannot(action: Action) -> str:
    if action.kind.startswith("archive"):
        if "files" in action.args:
            return f"the rows are in files: upkeep restore-archive --table '{action.subject}' brings them back"
        into = (action.args.get("archive") or {}).get("name", "the archive")
        return f"the rows are in {into}: copy them back by hand; Upkeep does not undo an archiving"
    if action.kind == "analyze":
        return "no row went: there is nothing to take back"
    return "what was deleted comes back only from a backup"
