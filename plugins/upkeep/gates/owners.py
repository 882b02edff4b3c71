"""The owner's own expectations, counted over batches of rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from upkeep.gates.backend import ROW, context, ge_suite, number_of, raised
from upkeep.gates.suites import Check, Rows
from upkeep.model import Json


@dataclass(frozen=True, slots=True)
class RowCount:
    """What one expectation of an owner's suite counted in one batch of rows.

    Attributes
    ----------
    looked, unexpected
        Rows that it applies to (missing values are left out, as Great Expectations does), and that do not meet it.
    places
        Which rows these are.
    blind
        Why it could not be evaluated; without any value of a row.
    """

    looked: int = 0
    unexpected: int = 0
    places: tuple[int, ...] = ()
    blind: str | None = None


def count_rows(name: str, entries: Sequence[Json], rows: Rows) -> list[RowCount]:
    """Evaluate the expectations of an owner's suite over a batch of rows; one count for each.

    Raises
    ------
    ConfigurationError
        Great Expectations knows no such expectation, or not these arguments.
    """
    import pandas as pd  # noqa: PLC0415 - with Great Expectations, only when a gate is evaluated

    checks = [Check("rows", str(e["type"]), dict(e["kwargs"]), "", "", None, "subject") for e in entries]
    frame = pd.DataFrame([dict(row) for row in rows], dtype=object)
    frame[ROW] = range(len(frame))
    complete = {"result_format": "COMPLETE", "unexpected_index_column_names": [ROW]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = context().get_batch(batch_parameters={"dataframe": frame})
        suite = ge_suite(name, tuple(range(len(checks))), checks)
        found = {number_of(result): result for result in batch.validate(suite, result_format=complete).results}
    return [_row_count(found.get(number), len(frame)) for number in range(len(checks))]


def _row_count(result: Any, rows: int) -> RowCount:
    if result is None or raised(result.exception_info):
        return RowCount(blind="could not be evaluated: does the column exist, and is its type what is compared with?")
    about = dict(result.result)
    if "unexpected_count" not in about:  # of the table, not of its rows
        return RowCount(looked=rows, unexpected=0 if result.success else rows)
    places = tuple(int(place[ROW]) for place in about.get("unexpected_index_list") or ())
    looked = int(about.get("element_count") or 0) - int(about.get("missing_count") or 0)
    return RowCount(looked=looked, unexpected=int(about["unexpected_count"]), places=places)
