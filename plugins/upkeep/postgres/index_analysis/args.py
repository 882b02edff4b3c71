"""What the action of index analysis holds: the index, all that brings it back, and the one that stays."""

from __future__ import annotations

from upkeep.jobs.args import Args


class Drop(Args):
    """An exact duplicate to be dropped.

    Attributes
    ----------
    definition
        The statement that makes it, as the catalog has it; where it lies and what its comment says are beside it.
    twin, twin_oid
        The one that stays.
    """

    schema_: str
    name: str
    index_oid: int
    table: str
    table_oid: int
    definition: str
    tablespace: str | None = None
    comment: str | None = None
    twin: str
    twin_oid: int
