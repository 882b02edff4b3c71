"""What will run next: as Airflow has planned it, outside Airflow as the table of jobs says. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from upkeep import words
from upkeep.jobs.spec import JobSpec
from upkeep.ledger import ApprovalState
from upkeep.run import schedule
from upkeep.run.fleet_facts import Facts


@dataclass(frozen=True, slots=True)
class Coming:
    """A job that will run; ``at`` is ``None`` where nothing will start it."""

    job: str
    at: datetime | None
    every: timedelta | None
    targets: tuple[str, ...]
    waiting: int
    note: str
    in_airflow: bool
    stopped: bool = False
    """Something should start it, and nothing will."""


def often(every: timedelta) -> str:
    """Return how often something comes.

    >>> often(timedelta(minutes=5)), often(timedelta(hours=1))
    ('every 5 minutes', 'every hour')
    """
    minutes = round(every / timedelta(minutes=1))
    return "every hour" if minutes == 60 else f"every {words.counted(minutes, 'minute')}"  # noqa: PLR2004


def coming(facts: Facts) -> list[Coming]:
    """Return what comes, the next first, what nothing starts last."""
    return sorted(_jobs(facts), key=lambda c: (c.at is None, c.at or facts.now))


def _jobs(facts: Facts) -> Iterator[Coming]:
    for row in facts.jobs:
        names = tuple(t.name for t in facts.targets if row.name in t.jobs)
        if not names:
            continue
        waiting = sum(p.plan.job == row.name and p.state is not ApprovalState.GRANTED for p in facts.pending)
        at = schedule.following(row.cron, facts.now) if row.cron else None
        every = schedule.interval(row.cron, facts.now) if row.cron else None
        note = "" if row.cron else "runs when somebody starts it"
        if facts.dags is not None and row.cron:
            at, note = _in_airflow(facts, row)
        stopped = at is None and bool(row.cron)
        yield Coming(row.name, at, every, names, waiting, note, facts.dags is not None, stopped)


def _in_airflow(facts: Facts, row: JobSpec) -> tuple[datetime | None, str]:
    dag = (facts.dags or {}).get(row.name)
    if dag is None:
        return None, "Airflow has no such DAG: nothing starts it"
    if dag.paused:
        return None, "its DAG is paused in Airflow: nothing starts it"
    return dag.next_at, "" if dag.next_at else "Airflow has not planned its next run yet"
