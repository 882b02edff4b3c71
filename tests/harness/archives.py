"""What the tests of archives in files share."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq

from tests.harness.jobs import Run
from tests.harness.postgres import AT, attached, exists, retention
from upkeep.fleet import Target
from upkeep.jobs.contract import RestoreRequest
from upkeep.model import Observation
from upkeep.postgres.data_retention import JOB
from upkeep.postgres.session import PostgresSession

KINDS = {
    "partitions": "retain: {{by: at, for: 1 month, then: archive, into: '{}', requires: nothing, grace: 0}}",
    "rows": "retain: {{by: at, for: 1 month, then: archive, into: '{}', precision: row, requires: nothing, grace: 0}}",
}
FOLDER = "public/logs"


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
        at=AT,
        server=opened.facts(),
        frames={},
    )
    request = RestoreRequest(table=table, since=since, until=until, **other)
    assert JOB.plan_restore is not None
    planned = JOB.plan_restore(opened, what, request, observation)
    runs = retention(what)
    return Run(observation, planned, [runs.apply(opened, action, observation) for action in planned.actions])


def flipped(witness: str) -> str:
    """Return a witness of another history: its transactions ended the other way."""
    return " ".join(f"{one[:-1]}{1 - int(one[-1])}" for one in witness.split())


def of_another_history(note: Path) -> None:
    """Make a note one that a copy of the server, or the server of before its disk was put back, has written."""
    about = json.loads(note.read_text())
    note.write_text(json.dumps(about | {"witness": flipped(about["witness"])}))


def in_table(db: psycopg.Connection[Any]) -> list[int]:
    tables = ["logs"]
    if exists(db, "logs_4") and "logs_4" not in attached(db, "logs"):
        tables.append("logs_4")
    return [row[0] for row in db.execute(" union all ".join(f"select id from {t}" for t in tables)).fetchall()]


def in_files(into: Path, kind: str = "_manifests") -> list[int]:
    """Return the ids in the files that count (or that are undecided)."""
    found: list[int] = []
    folder = into / FOLDER
    for manifest in (folder / kind).glob("*.json"):
        file = folder / f"{json.loads(manifest.read_text())['file']}.parquet"
        if kind == "_manifests" or file.exists():
            found += pq.read_table(file)["id"].to_pylist()
    return found


def settled(db: psycopg.Connection[Any], into: Path) -> list[int]:
    """Return all ids as the manifests have them; every file must have one."""
    folder = into / FOLDER
    names = {f.stem for f in folder.glob("*.parquet")}
    assert names == {f.stem for f in (folder / "_manifests").glob("*.json")}
    assert list((folder / "_undecided").iterdir()) == []
    return sorted(in_table(db) + in_files(into))
