"""Partition creation on TiDB."""

from upkeep.tidb.partition_creation.job import JOB

__all__ = ["JOB"]
