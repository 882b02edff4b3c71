"""Data retention on Redis: entries of streams that are older than the policy go.

A stream is Redis' log: entries in order of their ids, which begin with the time they were added. Keys of other types
carry no ages; what may go of them is for their own time to live to say.

The parts: `observe` reads (through `upkeep.redis.streams`), `view` puts policy and state together, `checks` says
what forbids to delete, `plan` decides, `apply` deletes, `frames` shows the gates; here they are put together.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.redis.data_retention import apply, covered, frames, observe, plan
from upkeep.redis.session import RedisSession

JOB: Final[Job[RedisSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=frames,
    apply=apply.apply,
    undo=apply.undo,
    uncovered=covered.uncovered,
)
