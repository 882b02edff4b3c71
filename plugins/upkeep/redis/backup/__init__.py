"""Backups of Redis: the server's own snapshot (RDB), from a replica where there is one.

The parts: `source` looks and takes, `rdb` reads what was written, `scratch` restores and compares,
`marks` says what of it may go from the source.
"""

from typing import Final

from upkeep.jobs.backup.copier import Copier
from upkeep.jobs.backup.job import job
from upkeep.jobs.contract import Job
from upkeep.redis.backup import marks, scratch, source
from upkeep.redis.faults import classify
from upkeep.redis.session import RedisSession

COPIER: Final[Copier[RedisSession]] = Copier(
    tool=source.CLIENT,
    classify=classify,
    survey=source.survey,
    take=source.take,
    count=scratch.count,
    restored=scratch.restored,
    missing=scratch.missing,
    look=scratch.look,
    restore=scratch.restore,
    instructions=scratch.instructions,
    marks=marks.marks,
)
JOB: Final[Job[RedisSession]] = job(COPIER)
