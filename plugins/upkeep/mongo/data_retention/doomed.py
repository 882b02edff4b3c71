"""Which documents of one collection are due, as filters: built in one place, never without the age predicate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from upkeep.mongo.data_retention import pipelines
from upkeep.mongo.session import Doc


@dataclass(frozen=True, slots=True)
class Doomed:
    """The due documents of one collection."""

    collection: str
    age: str
    cut_off: datetime
    index: str | None

    def __post_init__(self) -> None:
        # a filter without the age would mean every document
        if not self.age:
            raise ValueError("documents are never deleted without an age")

    @property
    def due(self) -> Doc:
        """That a document is due: a date before the cut-off, not a list with one in it."""
        found: Doc = pipelines.load("due", age=self.age, cut_off=self.cut_off)
        return found

    def between(self, low: Any, high: Any = None) -> Doc:
        """Return the due documents that are not older than ``low`` and older than ``high`` (``None``: the cut-off)."""
        due = self.due
        bounds = {**due[self.age], **({"$gte": low} if low is not None else {})}
        if high is not None:
            # a batch may end sooner than the cut-off, never later
            bounds["$lt"] = min(high, bounds["$lt"])
        return {**due, self.age: bounds}
