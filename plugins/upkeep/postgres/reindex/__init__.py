"""Reindexing on PostgreSQL: what is bloated, or what a person names, is rebuilt while readers and writers go on.

`observe` reads the catalog, `bloat` and `view` make of it what is worth it, `plan` decides, `watch` keeps an eye on a
statement that takes hours, `apply` rebuilds and removes what interrupted runs have left.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.postgres.reindex import apply, frames, observe, plan
from upkeep.postgres.session import PostgresSession

JOB: Final[Job[PostgresSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=frames.GATES,
    apply=apply.apply,
    undo=apply.undo,
)
"""What is rebuilt holds the same rows in less space: there is nothing to take back."""
