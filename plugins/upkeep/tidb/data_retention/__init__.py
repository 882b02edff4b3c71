"""Data retention on TiDB."""

from upkeep.tidb.data_retention.job import JOB

__all__ = ["JOB"]
