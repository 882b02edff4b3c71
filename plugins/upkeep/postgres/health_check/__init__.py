"""Health of a PostgreSQL server: one statement a check, ``include/sql/postgres/health_check/<check>.sql``."""

from __future__ import annotations

from typing import Final

from upkeep.jobs import health_check
from upkeep.jobs.contract import Job
from upkeep.postgres.health_check.observe import observe
from upkeep.postgres.session import PostgresSession

JOB: Final[Job[PostgresSession]] = Job(
    observe=observe, decide=health_check.decide, blind=health_check.blind, remembers=health_check.REMEMBERS
)
