"""``indexes:`` of a target: what becomes of indexes that nobody needs."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from upkeep.fleet.keys import TargetPolicy
from upkeep.fleet.values import Length
from upkeep.model import ENGINES
from upkeep.model.intervals import Duration

_INDEXED: Final = frozenset({"tables", "collections"})
"""Sections of engines that have indexes."""
_LATER: Final = ("slow", "advise")


class IndexesPolicy(TargetPolicy):
    """What the owner wants of the indexes of a target; it holds everywhere unless the file says ``false``.

    Attributes
    ----------
    unused_after
        So long nothing must have used an index before it is said to be unused: over the end of a month.
    drop_duplicates
        ``approval``: an exact duplicate is taken away when a person approves; ``never``: it is only told.
    keep
        Indexes (as findings call them, globs allowed) that stay, whatever is found: no action, no word of no use.
    """

    engines: ClassVar[frozenset[str]] = frozenset(
        name for name, engine in ENGINES.items() if not _INDEXED.isdisjoint(engine.sections)
    )
    everywhere: ClassVar[bool] = True

    unused_after: Length = Duration.parse("35 days")
    drop_duplicates: Literal["approval", "never"] = "approval"
    keep: list[str] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _later(cls, data: Any) -> Any:
        for key in _LATER if isinstance(data, dict) else ():
            if key in data:
                raise ValueError(f"{key}: advice on missing indexes is reserved for a later job; leave it out")
        return data


POLICY = IndexesPolicy
