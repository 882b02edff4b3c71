"""What the tests of archives in files share."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.harness.retention import AT, Book, Run
from upkeep.fleet import Target
from upkeep.jobs.contract import RestoreRequest
from upkeep.model import Observation
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.session import PostgresSession


def policy(into: Path | str, **other: str) -> str:
    """Return a policy that archives rows older than 30 days into files."""
    given = {"by": "at", "for": "30 days", "then": "archive", "precision": "row", "requires": "nothing"} | other
    return f"retain: {{{', '.join(f'{k}: {v}' for k, v in given.items())}, into: '{into}'}}"


def said(done: Run) -> list[Any]:
    """Return what a run said, for a failed assertion."""
    return [f.summary for f in done.plan.findings] + [(o.reason_code, o.message) for o in done.outcomes]


def restored(
    opened: PostgresSession,
    what: Target,
    table: str,
    since: datetime | None = None,
    until: datetime | None = None,
    **other: Any,
) -> Run:
    """Bring rows back as the command does, without the ledger."""
    observation = Observation(
        target=what.name,
        engine="postgres",
        job="data_retention",
        identity=opened.identity,
        version=opened.version,
        at=AT,
        frames={},
    )
    request = RestoreRequest(table=table, since=since, until=until, **other)
    planned = JOB.plan_restore(opened, what, request, observation)
    book = Book()
    return Run(observation, planned, [book.apply(opened, what, action, observation) for action in planned.actions])


def flipped(witness: str) -> str:
    """Return a witness of another history: its transactions ended the other way."""
    return " ".join(f"{one[:-1]}{1 - int(one[-1])}" for one in witness.split())


def of_another_history(note: Path) -> None:
    """Make a note one that a copy of the server, or the server of before its disk was put back, has written."""
    about = json.loads(note.read_text())
    note.write_text(json.dumps(about | {"witness": flipped(about["witness"])}))
