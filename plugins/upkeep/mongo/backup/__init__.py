"""Backups of a MongoDB database: all collections at one instant, in the format of mongodump, restored and compared.

The parts: `definitions` says what is there, `source` looks and takes, `files` writes and reads what lies on the disk,
`scratch` restores and compares, `marks` says what of it may go from the source. No
program of MongoDB's tools is needed; ``mongorestore`` reads what is written.
"""

from typing import Final

from upkeep.jobs.backup.copier import Copier
from upkeep.jobs.backup.job import job
from upkeep.jobs.contract import Job
from upkeep.mongo.backup import files, marks, scratch, source
from upkeep.mongo.faults import classify
from upkeep.mongo.session import MongoSession

COPIER: Final[Copier[MongoSession]] = Copier(
    tool=files.TOOL,
    classify=classify,
    survey=source.survey,
    take=source.take,
    count=files.count,
    restored=scratch.restored,
    missing=scratch.missing,
    look=scratch.look,
    restore=scratch.restore,
    instructions=scratch.instructions,
    marks=marks.marks,
)
JOB: Final[Job[MongoSession]] = job(COPIER)
