"""The owner's own expectations of rows that are about to go: what fails them stays.

The engine yields the rows, in batches of bounded size and of one snapshot; they are evaluated here one batch
after the other and counted together. Nothing is removed before all of them were seen, and afterwards only rows
that were seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from upkeep.errors import ConfigurationError
from upkeep.fleet import suites
from upkeep.jobs.contract import RowBatch
from upkeep.model import Action, Finding, FindingStatus, Json, Severity

KEYS_SHOWN: Final = 20
KEYS_SAID: Final = 3


@dataclass
class Count:
    """What one expectation counted over all batches.

    Attributes
    ----------
    looked, unexpected
        Rows that it applies to, and those that do not meet it.
    keys
        Primary keys of the first of them.
    blind
        Why it could not be evaluated; never a value of a row.
    """

    type: str
    columns: tuple[str, ...]
    mostly: float
    looked: int = 0
    unexpected: int = 0
    keys: list[Json] = field(default_factory=list)
    blind: str | None = None

    @property
    def failed(self) -> bool:
        """Whether it does not hold over all rows together."""
        return self.blind is not None or self.unexpected > (1 - self.mostly) * self.looked + 1e-9

    def evidence(self) -> Json:
        """Return it for the ledger: counts and keys, never values."""
        about: Json = {"expectation": self.type, "columns": list(self.columns)}
        if self.blind:
            return about | {"could_not_look": self.blind}
        return about | {"rows": self.looked, "unexpected": self.unexpected, "keys": self.keys}


def examine(action: Action, batches: Iterable[RowBatch]) -> tuple[Finding | None, str | None]:
    """Evaluate the suite that an action names over the rows that it would remove.

    Returns
    -------
    tuple
        The finding when the rows must stay, else ``None``; and what was seen, for the engine (`RowBatch.seen`).

    Raises
    ------
    ConfigurationError
        The suite's file is gone or became invalid since the fleet file was read, or says something impossible.
    """
    from upkeep import gates  # noqa: PLC0415 - Great Expectations takes seconds to import

    path = Path(action.args["quality"]["suite"])
    try:
        entries = suites.read(path)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    counts = [_count(entry) for entry in entries]
    rows, seen = 0, None
    for batch in batches:
        seen = batch.seen
        if not batch.rows:
            continue
        rows += len(batch.rows)
        for count, result in zip(counts, gates.count_rows(str(path), entries, batch.rows), strict=True):
            count.looked += result.looked
            count.unexpected += result.unexpected
            count.blind = count.blind or result.blind
            for place in result.places[: KEYS_SHOWN - len(count.keys)]:
                if batch.keys:
                    count.keys.append({key: _plain(batch.rows[place][key]) for key in batch.keys})
    failed = [count for count in counts if count.failed]
    return (_finding(action, path, rows, failed) if failed else None), seen


def _count(entry: Json) -> Count:
    kwargs = entry["kwargs"]
    named = [str(kwargs[key]) for key in ("column", "column_A", "column_B") if key in kwargs]
    named += map(str, kwargs.get("column_list", ()))
    return Count(type=str(entry["type"]), columns=tuple(named), mostly=float(kwargs.get("mostly", 1.0)))


def _finding(action: Action, path: Path, rows: int, failed: list[Count]) -> Finding:
    said = []
    for count in failed:
        what = f"{count.type} ({', '.join(count.columns)})" if count.columns else count.type
        said.append(f"{what}: {count.blind or f'{count.unexpected:,} of {count.looked:,} rows{_named(count)}'}")
    return Finding(
        check="quality",
        subject=action.args["quality"].get("of") or action.subject,
        status=FindingStatus.FINDING,
        severity=Severity.ERROR,
        summary=f"{rows:,} due rows stay, for they fail {path.name}: {'; '.join(said)}",
        evidence={"suite": str(path), "rows": rows, "failed": [count.evidence() for count in failed]},
        remedy="mend the rows that the keys name, or correct the suite; the next run looks again",
    )


def _named(count: Count) -> str:
    """Return the first keys, for the summary; the evidence has up to `KEYS_SHOWN`."""
    named = [
        "(" + ", ".join(f"{name} = {value}" for name, value in key.items()) + ")" for key in count.keys[:KEYS_SAID]
    ]
    more = ", …" if count.unexpected > len(named) else ""
    return f": {', '.join(named)}{more}" if named else ""


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | bool) or value is None else str(value)
