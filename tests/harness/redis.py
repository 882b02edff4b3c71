"""What tests on the real Redis server share: a database of one's own, a target, the job without the runner."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from local.servers import RedisServer
from upkeep import connections, fleet, gates
from upkeep.fleet import Target
from upkeep.jobs import spec
from upkeep.jobs.contract import Work
from upkeep.model import Action, Finding, GateResult, Json, Memory, Outcome, Plan
from upkeep.redis.engine import ENGINE
from upkeep.redis.session import RedisSession

JOB = "data_retention"
DATABASE = "3"


@dataclass
class Place:
    """An empty database of the server, and a client of the test's own."""

    server: RedisServer
    client: Any

    @property
    def uri(self) -> str:
        return self.server.uri(DATABASE)

    @contextmanager
    def session(self, uri: str = "") -> Iterator[RedisSession]:
        with ENGINE.open(connections.parse("test", uri or self.uri), application="test") as session:
            yield session

    def ids(self, name: str) -> list[str]:
        return [entry[0] for entry in self.client.xrange(name)]

    def fill(self, name: str, old: int = 50, new: int = 20, payload: str = "x") -> list[str]:
        """Add entries of 40 days ago, one a second, and of an hour ago; return the ids of the young ones."""
        now = datetime.now(UTC)
        with self.client.pipeline(transaction=False) as pipe:
            for age, count in ((timedelta(days=40), old), (timedelta(hours=1), new)):
                first = int((now - age).timestamp() * 1000)
                for n in range(count):
                    pipe.xadd(name, {"n": n, "payload": payload}, id=f"{first + 1000 * n}-{n % 3}")
            pipe.execute()
        return self.ids(name)[old:]


@contextmanager
def fresh_place(server: RedisServer) -> Iterator[Place]:
    with redis.Redis.from_url(server.uri(DATABASE), decode_responses=True) as client:
        client.flushdb()
        try:
            yield Place(server, client)
        finally:
            client.flushdb()


def target(streams: str, more: str = "") -> Target:
    """Return a target as a fleet file declares it; ``streams`` is YAML, indented by nothing."""
    lines = "\n".join(f"      {line}" for line in streams.strip().splitlines())
    extra = "".join(f"    {line}\n" for line in more.splitlines())
    text = f"version: 1\ntargets:\n  t:\n    engine: redis\n    connection: c\n{extra}    streams:\n{lines}\n"
    return fleet.parse(text).targets["t"]


@dataclass
class Run:
    """What the job did."""

    plan: Plan
    before: GateResult
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    after: GateResult | None = None
    notes: list[Json] = field(default_factory=list)

    def action(self, subject: str) -> Action:
        return next(a for a in self.plan.actions if a.subject == subject)

    def outcome(self, subject: str) -> Outcome:
        return self.outcomes[self.action(subject).id]

    def finding(self, check: str) -> Finding:
        return next(f for f in self.plan.findings if f.check == check)

    @property
    def checks(self) -> list[str]:
        return [f.check for f in self.plan.findings]

    @property
    def well(self) -> bool:
        """Whether both gates passed; what failed is raised, so that a test shows it."""
        assert self.after is not None
        assert [f.summary for f in (*self.before.failed, *self.after.failed)] == []
        return True


def nothing(message: str = "", *, rows: int = 0) -> None:
    """Stand in for the runner's checkpoint."""


def run(
    session: RedisSession,
    wanted: Target,
    *,
    at: datetime | None = None,
    checkpoint: Any = nothing,
    between: Any = nothing,
) -> Run:
    """Observe, gate, plan, apply what is not blocked (whatever it requires), observe, gate."""
    job = spec.job(JOB, "redis")
    assert job is not None
    instant = at or datetime.now(UTC)
    observation = job.observe(session, wanted, instant, Memory())
    before = gates.evaluate(JOB, "redis", "before", job.frames(observation, wanted, "before", None, ()))
    plan = job.plan(observation, wanted)
    done = Run(plan, before)
    between()
    for action in plan.actions:
        if not action.blocked:
            work = Work(session, wanted, action, observation, checkpoint, time.sleep, done.notes.append)
            done.outcomes[action.id] = job.apply(work)
    later = job.observe(session, wanted, instant, Memory())
    outcomes = list(done.outcomes.values())
    done.after = gates.evaluate(JOB, "redis", "after", job.frames(later, wanted, "after", plan, outcomes))
    return done
