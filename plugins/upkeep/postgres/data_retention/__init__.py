"""Data retention on PostgreSQL."""

from upkeep.postgres.data_retention.job import JOB

__all__ = ["JOB"]
