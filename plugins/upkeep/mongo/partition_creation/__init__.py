"""Partition creation on MongoDB: collections, time-series options, validators and indexes are as declared.

MongoDB has no partitions; what its owner declares about the shape of a collection is made here. What is missing is
created; what differs is reported with the exact command, and corrected where the server changes it in place and the
policy says ``corrections: apply``. The parts: `observe` reads, `care` puts each declared collection beside what is
there (`upkeep.mongo.specs` compares), `plan` decides, `apply` does, `frames` shows the gates; here they are put
together as the job.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.mongo.partition_creation import apply, frames, observe, plan
from upkeep.mongo.session import MongoSession

JOB: Final[Job[MongoSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=frames,
    apply=apply.apply,
    undo=apply.undo,
)
