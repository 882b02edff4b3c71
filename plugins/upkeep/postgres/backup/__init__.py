"""Backups of PostgreSQL: ``pg_dump`` in directory format at an exported snapshot, restored into a scratch server."""

from typing import Final

from upkeep.jobs.backup.copier import Copier
from upkeep.jobs.backup.job import job
from upkeep.postgres.backup.archive import count
from upkeep.postgres.backup.contents import look
from upkeep.postgres.backup.restore import instructions, restore
from upkeep.postgres.backup.scratch import missing, restored
from upkeep.postgres.backup.survey import survey
from upkeep.postgres.backup.take import classify, take
from upkeep.postgres.session import PostgresSession

COPIER: Final[Copier[PostgresSession]] = Copier(
    tool="pg_dump",
    classify=classify,
    survey=survey,
    take=take,
    count=count,
    restored=restored,
    missing=missing,
    look=look,
    restore=restore,
    instructions=instructions,
)
JOB: Final = job(COPIER)
