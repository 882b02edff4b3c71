"""Backups of a TiDB database: dumpling at one snapshot, loaded into a server of its own and compared with the source.

The parts: `source` looks and takes, `files` reads what was written, `scratch` restores and compares,
`marks` says what of it may go from the source.
"""

from typing import Final

from upkeep.jobs.backup.copier import Copier
from upkeep.jobs.backup.job import job
from upkeep.jobs.contract import Job
from upkeep.tidb.backup import marks, scratch, source
from upkeep.tidb.faults import classify
from upkeep.tidb.session import TiDBSession

COPIER: Final[Copier[TiDBSession]] = Copier(
    tool=source.TOOL,
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
JOB: Final[Job[TiDBSession]] = job(COPIER)
