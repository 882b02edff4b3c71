"""The proof of time to live on TiDB: TTL as declared, its jobs going on, nothing overdue; and what retention left.

`observe` reads, `tables` counts, `jobs` says what the TTL jobs have promised, `decide` judges.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.tidb.session import TiDBSession
from upkeep.tidb.ttl_verification import decide, observe

JOB: Final[Job[TiDBSession]] = Job(
    observe=observe.observe,
    decide=decide.decide,
    remembers=frozenset({"looks", "endings"}),
)
