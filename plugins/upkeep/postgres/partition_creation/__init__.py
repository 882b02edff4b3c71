"""Partition creation on PostgreSQL."""

from upkeep.postgres.partition_creation.job import JOB

__all__ = ["JOB"]
