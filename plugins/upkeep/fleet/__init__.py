"""The fleet file: what should be true of which table, validated before anything is touched.

`load` reads YAML and returns a `Fleet`. Every mistake is reported with file, line, key and remedy, all
of them at once. Whether a table exists is not known here: that fails its own table, at run time.
"""

from upkeep.fleet.collections import CollectionPolicy, IndexPolicy, TimeseriesPolicy
from upkeep.fleet.keys import TargetPolicy
from upkeep.fleet.levels import HashLevel, ListLevel, RangeLevel
from upkeep.fleet.loader import json_schema, load, parse
from upkeep.fleet.streams import StreamPolicy
from upkeep.fleet.tables import BackupRule, HashPolicy, ListPolicy, PartitionPolicy, RetainPolicy, TablePolicy
from upkeep.fleet.target import Defaults, Fleet, Limits, Target, Window
from upkeep.fleet.values import elapsed

__all__ = [
    "BackupRule",
    "CollectionPolicy",
    "Defaults",
    "Fleet",
    "HashLevel",
    "HashPolicy",
    "IndexPolicy",
    "Limits",
    "ListLevel",
    "ListPolicy",
    "PartitionPolicy",
    "RangeLevel",
    "RetainPolicy",
    "StreamPolicy",
    "TablePolicy",
    "Target",
    "TargetPolicy",
    "TimeseriesPolicy",
    "Window",
    "elapsed",
    "json_schema",
    "load",
    "parse",
]
