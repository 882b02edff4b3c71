"""Each declared collection beside what is there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from upkeep.fleet import CollectionPolicy, IndexPolicy, Target
from upkeep.model import Json
from upkeep.mongo import catalog, specs
from upkeep.mongo.specs import Difference

_FATAL = ("kind", "timeseries")


@dataclass(frozen=True)
class Care:
    """One collection in care.

    Attributes
    ----------
    subject
        Its name, or a glob that nothing matches.
    row
        From `catalog.collections`; ``None`` when it is not there.
    validator
        The declared one, read; ``None`` when none is declared.
    problem
        Why nothing can be done: the validator's file cannot be read.
    lacks
        What our user may not do of all that creates and changes it.
    unfit
        Documents that the declared validator would refuse, where it is another one; ``None``: not known.
    """

    subject: str
    policy: CollectionPolicy
    row: Json | None
    validator: Json | None
    problem: str | None
    lacks: tuple[str, ...]
    unfit: int | None = None

    @property
    def to_create(self) -> bool:
        """Whether it is to be made."""
        return self.row is None and not catalog.is_glob(self.subject)

    @cached_property
    def differences(self) -> list[Difference]:
        """How it differs from what is declared; what is missing is no difference."""
        if self.row is None or self.problem is not None:
            return []
        found = list(specs.collection_differences(self.policy, self.row, self.validator))
        if self.supported:
            found += specs.index_differences(self.policy, self.row)
        return found

    @property
    def supported(self) -> bool:
        """Whether it is of the declared kind at all."""
        if self.row is None or self.problem is not None:
            return self.problem is None
        return not any(d.check in _FATAL for d in specs.collection_differences(self.policy, self.row, self.validator))

    @property
    def missing_indexes(self) -> list[IndexPolicy]:
        """Declared indexes that are to be built."""
        if not self.supported or (self.row is None and not self.to_create):
            return []
        return specs.missing_indexes(self.policy, self.row)


def cares(frames: Mapping[str, Sequence[Json]], target: Target) -> list[Care]:
    """Return all collections that the target declares something for."""
    rows = {row["name"]: row for row in frames["collections"]}
    files = {row["path"]: row for row in frames["validators"]}
    found = []
    for pattern, names in catalog.by_policy(rows, catalog.shaped(target)).items():
        policy = target.collections[pattern]
        validator, problem = _validator(policy, files)
        for name in names or [pattern]:
            facts = next((f for f in frames["facts"] if f["name"] == name), {})
            found.append(
                Care(
                    name, policy, rows.get(name), validator, problem, tuple(facts.get("lacks", ())), facts.get("unfit")
                )
            )
    return found


def _validator(policy: CollectionPolicy, files: Mapping[str, Json]) -> tuple[Json | None, str | None]:
    if policy.validator is None:
        return None, None
    file = files.get(policy.validator, {"text": None, "error": "it was not read"})
    if file["text"] is None:
        return None, f"{policy.validator}: {file['error']}"
    try:
        return specs.validation(file["text"]), None
    except ValueError as error:
        return None, f"{policy.validator}: {error}"
