"""Cache warming on Redis: rows of another target are kept ready as keys, within a budget of memory.

The parts: `observe` sees whether rows and memory are to be had, `plan` decides, `rows` makes keys and values of rows,
`store` sets them where they are absent or ours, `apply` does one entry, `frames` shows the gates.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.redis.cache_warming import apply, findings, frames, observe, plan
from upkeep.redis.session import RedisSession

JOB: Final[Job[RedisSession]] = Job(
    observe=observe.observe,
    decide=plan.plan,
    gates=frames,
    apply=apply.apply,
    undo=apply.undo,
    conclude=findings.conclude,
)
