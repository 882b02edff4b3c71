"""Data retention on Redis."""

from upkeep.redis.data_retention.job import JOB

__all__ = ["JOB"]
