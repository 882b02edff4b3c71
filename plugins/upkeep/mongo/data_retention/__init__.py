"""Data retention on MongoDB."""

from upkeep.mongo.data_retention.job import JOB

__all__ = ["JOB"]
