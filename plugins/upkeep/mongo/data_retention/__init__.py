"""Data retention on MongoDB: what is older than the policy goes, kept in an archive or not.

Ordinary collections lose documents in batches. Time-series collections cannot on this version (a delete by time is
refused before MongoDB 7.0): there the server expires measurements itself by ``expireAfterSeconds``, which this job
sets, keeps to the policy, and, with an archive, holds back until everything that it would delete is archived. With
an archive it is the policy's age plus ``grace``: as long the job may fail to run before something is lost.

The parts: `observe` reads, `view` puts policy and state together, `checks` says what forbids to delete, `plan`
decides, `apply` carries out with `batches` and `measurements`, `frames` shows the gates; here they are put together.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.mongo.data_retention import apply, covered, frames, observe, plan
from upkeep.mongo.session import MongoSession

JOB: Final[Job[MongoSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=frames,
    apply=apply.apply,
    undo=apply.undo,
    uncovered=covered.uncovered,
    remembers=frozenset({"expiries"}),
)
