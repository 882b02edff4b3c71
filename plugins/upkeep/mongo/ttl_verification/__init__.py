"""The proof of time to live on MongoDB: TTL indexes as declared, a monitor that goes on, and nothing overdue.

`observe` reads, `monitor` judges the server's TTL monitor, `decide` each collection. Documents whose field holds no
date are never due to the server; they are counted as what they are.
"""

from typing import Final

from upkeep.jobs.contract import Job
from upkeep.mongo.session import MongoSession
from upkeep.mongo.ttl_verification import decide, observe

JOB: Final[Job[MongoSession]] = Job(
    observe=observe.observe,
    decide=decide.decide,
    remembers=frozenset({"looks", "endings"}),
)
