"""``comments:`` of a target: what each table's comment should say."""

from __future__ import annotations

from typing import ClassVar

from upkeep.fleet.keys import TargetPolicy


class CommentsPolicy(TargetPolicy):
    """What the owner wants the comments of tables to say.

    Attributes
    ----------
    tables
        Name with its schema → comment.
    """

    engines: ClassVar[frozenset[str]] = frozenset({"postgres"})

    tables: dict[str, str]


POLICY = CommentsPolicy
