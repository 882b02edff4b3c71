"""An owner's own expectations, as the fleet file names them: read and checked before anything is touched. Pure.

A suite is evaluated over rows in batches. So it may say what must hold of each row (``mostly`` counts over all
batches together); what needs a whole column at once (a mean, uniqueness, a number of rows) is refused here: a
batch would give another answer than the whole.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from upkeep.fleet import files

_ROWWISE: Final = re.compile(
    r"expect_(column_values_to_|column_value_lengths_to_|column_pair_values_|multicolumn_sum_to_equal$"
    r"|select_column_values_to_be_unique_within_record$|column_to_exist$)"
)
_WHOLE: Final = re.compile(r"to_be_unique$|increasing$|decreasing$|z_scores")
REMEDY: Final = "write a Great Expectations suite: {name, expectations: [{type, kwargs}]}"


def find(text: str, folder: Path | None) -> Path:
    """Return where a suite lies (`files.find`). Raises ``ValueError``."""
    try:
        return files.find(text, folder)
    except ValueError as error:
        raise ValueError(f"quality: {error}") from None


def read(path: Path) -> list[dict[str, Any]]:
    """Return a suite's expectations. Raises ``ValueError`` that says what is wrong and what to do."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["expectations"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"quality: {path}: cannot be read ({type(error).__name__}); {REMEDY}") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"quality: {path}: has no expectations; {REMEDY}")
    for number, entry in enumerate(entries):
        where = f"quality: {path}: expectations[{number}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("kwargs"), dict) or "type" not in entry:
            raise ValueError(f"{where}: needs type and kwargs; {REMEDY}")
        type_ = str(entry["type"])
        if not _ROWWISE.match(type_) or _WHOLE.search(type_):
            raise ValueError(
                f"{where}: {type_} needs a whole column or table at once, but rows are looked at in batches; use "
                "expectations on the values of rows (expect_column_values_…, expect_column_pair_values_…)"
            )
    return entries


def columns(entries: list[dict[str, Any]]) -> set[str] | None:
    """Return the columns that the expectations name; ``None`` when a condition may name others."""
    found: set[str] = set()
    for entry in entries:
        kwargs = entry["kwargs"]
        if kwargs.get("row_condition"):
            return None
        found |= {str(kwargs[key]) for key in ("column", "column_A", "column_B") if key in kwargs}
        found |= set(map(str, kwargs.get("column_list", ())))
    return found
