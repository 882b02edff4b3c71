"""What tests on the real MongoDB server share: a fresh database, a target, a job done without the runner."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pymongo

from local.servers import MongoServer
from upkeep import connections, fleet, gates
from upkeep.fleet import Target
from upkeep.jobs import spec
from upkeep.jobs.contract import Work
from upkeep.model import Action, Finding, GateResult, Json, Memory, Observation, Outcome, OutcomeStatus, Plan
from upkeep.mongo.engine import ENGINE
from upkeep.mongo.session import MongoSession

AT = datetime(2024, 3, 15, 12, tzinfo=UTC)
_numbers = itertools.count(1)


@dataclass
class Place:
    """A fresh database, and a client of the test's own."""

    server: MongoServer
    name: str
    client: pymongo.MongoClient[dict[str, Any]]

    @property
    def db(self) -> Any:
        return self.client[self.name]

    @property
    def uri(self) -> str:
        return self.server.uri(self.name)

    @contextmanager
    def session(self) -> Iterator[MongoSession]:
        with ENGINE.open(connections.parse("test", self.uri), application="test") as session:
            yield session

    def indexes(self, name: str) -> dict[str, Any]:
        return dict(self.db[name].index_information())

    def options(self, name: str) -> dict[str, Any]:
        (found,) = self.db.list_collections(filter={"name": name})
        return dict(found["options"])


@contextmanager
def fresh_place(server: MongoServer, prefix: str = "t") -> Iterator[Place]:
    name = f"{prefix}_{os.getpid()}_{next(_numbers)}"
    with pymongo.MongoClient(server.uri("admin"), tz_aware=True) as client:
        try:
            yield Place(server, name, client)
        finally:
            client.drop_database(name)


def target(collections: str, more: str = "") -> Target:
    """Return a target as a fleet file declares it; ``collections`` is YAML, indented by nothing."""
    lines = "\n".join(f"      {line}" for line in collections.strip().splitlines())
    extra = "".join(f"    {line}\n" for line in more.splitlines())
    text = f"version: 1\ntargets:\n  t:\n    engine: mongo\n    connection: c\n{extra}    collections:\n{lines}\n"
    return fleet.parse(text).targets["t"]


@dataclass
class Run:
    """What a job did."""

    plan: Plan
    before: GateResult
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    after: GateResult | None = None
    notes: list[Json] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        return [action.kind for action in self.plan.actions]

    @property
    def statuses(self) -> list[str]:
        return [
            str((o := self.outcomes[a.id]).reason_code or o.status.value) if a.id in self.outcomes else "none"
            for a in self.plan.actions
        ]

    def action(self, kind: str) -> Action:
        return next(a for a in self.plan.actions if a.kind == kind)

    def outcome(self, kind: str) -> Outcome:
        return self.outcomes[self.action(kind).id]

    def finding(self, check: str) -> Finding:
        return next(f for f in self.plan.findings if f.check == check)

    @property
    def checks(self) -> list[str]:
        return [f.check for f in self.plan.findings]


def nothing(message: str = "", *, rows: int = 0) -> None:
    """Stand in for the runner's checkpoint."""


def observe(session: MongoSession, wanted: Target, job: str, at: datetime = AT) -> Observation:
    found = spec.job(job, "mongo")
    assert found is not None
    return found.observe(session, wanted, at, Memory())


def run(
    session: MongoSession,
    wanted: Target,
    job_name: str,
    *,
    at: datetime = AT,
    apply: bool = True,
    only: Sequence[str] = (),
    checkpoint: Any = nothing,
    gate: bool = True,
) -> Run:
    """Observe, gate, plan, apply what is not blocked (whatever it requires), observe, gate."""
    job = spec.job(job_name, "mongo")
    assert job is not None
    observation = job.observe(session, wanted, at, Memory())
    Observation.model_validate(observation.model_dump())
    frames = job.frames(observation, wanted, "before", None, ())
    before = gates.evaluate(job_name, "mongo", "before", frames) if gate else None
    plan = job.plan(observation, wanted)
    done = Run(plan, before)  # type: ignore[arg-type]
    if not apply:
        return done
    for action in plan.actions:
        if action.blocked or (only and action.kind not in only) or not _ready(done, action):
            continue
        work = Work(session, wanted, action, observation, checkpoint, time.sleep, done.notes.append)
        done.outcomes[action.id] = job.apply(work)
    if gate:
        later = job.observe(session, wanted, at, Memory())
        frames = job.frames(later, wanted, "after", plan, list(done.outcomes.values()))
        done.after = gates.evaluate(job_name, "mongo", "after", frames)
    return done


def _ready(done: Run, action: Action) -> bool:
    planned = {a.id for a in done.plan.actions}
    return all(
        i not in planned or (i in done.outcomes and done.outcomes[i].status is OutcomeStatus.DONE) for i in action.after
    )
