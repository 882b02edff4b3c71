"""The proof of time to live on Redis: every key of a declared pattern expires, and no later than declared.

A key that has expired is seen by nobody, so nothing is ever overdue: what can be wrong is that a key does not expire,
or that it lives too long.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.redis.session import RedisSession
from upkeep.redis.ttl_verification import decide, observe

JOB: Final[Job[RedisSession]] = Job(
    observe=observe.observe,
    decide=decide.decide,
    remembers=frozenset({"looks"}),
)
