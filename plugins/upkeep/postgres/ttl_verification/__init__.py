"""The proof of time to live on PostgreSQL, which has none: what retention should have removed, and why it is there.

Whole partitions are judged by their bounds, from the catalog; rows are counted through an index.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.postgres.session import PostgresSession
from upkeep.postgres.ttl_verification import decide, observe

JOB: Final[Job[PostgresSession]] = Job(
    observe=observe.observe,
    decide=decide.decide,
    remembers=frozenset({"looks", "endings"}),
)
