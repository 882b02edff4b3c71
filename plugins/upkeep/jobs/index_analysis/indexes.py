"""An index as far as advice is alike on all engines, and which stands for which. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from upkeep.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One index.

    Attributes
    ----------
    subject
        As people read it; tells it from all others of the target.
    table
        Its table, as people read it.
    age
        A number that orders: the smaller, the earlier it was made.
    shape
        All that it is except its name: two of a table with equal shapes are exact duplicates.
    keys
        Its columns, each with all that decides whether another index can serve in its place (order, collation …).
    rest
        What else must be equal for that: its method, its condition.
    more
        Columns that it carries along.
    bound
        Why it stays, whatever is found; empty: nothing speaks for it.
    hinders
        Why Upkeep itself does not take it away, although it may go; empty: it does.
    valid
        Whether it is whole; one whose building or dropping was interrupted is not.
    hidden
        Whether queries are kept from it: the step before it goes.
    prefixes
        Whether an index of its kind can serve as the beginning of another.
    part
        Whether it is a part of an index that is told of itself.
    watched
        Whether its counters tell whether anybody needs it.
    row
        What the engine's room knows of it besides.
    """

    subject: str
    table: str
    age: int
    shape: str
    keys: tuple[str, ...]
    rest: str
    more: frozenset[str] = frozenset()
    unique: bool = False
    bound: str = ""
    hinders: str = ""
    valid: bool = True
    hidden: bool = False
    prefixes: bool = True
    part: bool = False
    watched: bool = True
    bytes: int | None = None
    row: Json = field(default_factory=dict)

    @property
    def serves(self) -> bool:
        """Whether queries can use it."""
        return self.valid and not self.hidden


@dataclass(frozen=True, slots=True)
class Pair:
    """An index that another one stands for."""

    index: Index
    twin: Index


def duplicates(indexes: Iterable[Index]) -> Iterator[Pair]:
    """Yield each index that is the same as one that stays; of equals stays what is bound, else the oldest.

    What cannot serve stands for nobody: where only such ones are left, nothing is yielded.
    """
    alike: dict[tuple[str, str], list[Index]] = {}
    for index in indexes:
        alike.setdefault((index.table, index.shape), []).append(index)
    for group in alike.values():
        twin, *others = sorted(group, key=lambda one: (not one.serves, not one.bound, one.age))
        if twin.serves:
            yield from (Pair(index, twin) for index in others)


def redundant(indexes: Sequence[Index]) -> Iterator[Pair]:
    """Yield each index whose columns another one begins with; exact duplicates are none of these."""
    same = {pair.index.subject for pair in duplicates(indexes)}
    tables: dict[str, list[Index]] = {}
    for index in indexes:
        tables.setdefault(index.table, []).append(index)
    for index in indexes:
        if index.unique or index.bound or not index.serves or not index.prefixes or index.subject in same:
            continue
        covering = [other for other in tables[index.table] if _covers(other, index)]
        if covering:
            yield Pair(index, min(covering, key=lambda other: (len(other.keys), len(other.more), other.age)))


def _covers(other: Index, index: Index) -> bool:
    if other is index or not other.serves or not other.prefixes or other.rest != index.rest:
        return False
    if other.keys[: len(index.keys)] != index.keys or not index.more <= other.more:
        return False
    longer = len(other.keys) > len(index.keys) or other.more > index.more
    # of two that serve alike (they differ in storage) one must stay, and the same one every night
    return longer or other.unique or bool(other.bound) or other.age < index.age
