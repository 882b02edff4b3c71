"""Partition creation on MongoDB."""

from upkeep.mongo.partition_creation.job import JOB

__all__ = ["JOB"]
