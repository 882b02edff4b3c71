"""Evaluating a suite on the frames that a job delivers: could not look is never fine.

A missing frame or column, an empty frame that may not be empty, and an expectation that raises are failures.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from upkeep.gates.backend import ROW, context, ge_suite, number_of, raised
from upkeep.gates.suites import Check, Rows, load
from upkeep.model import GateFailure, GateResult, Json

EVIDENCE_ROWS = 20
"""Failing rows kept as evidence: enough to see the pattern, small enough for the ledger."""


NAMED_IN_SUMMARY = 3
"""Subjects named in the one-line summary; all of them are in ``subjects``."""


_NOT_AVAILABLE = "not available"


OUTCOMES = "outcomes"
"""The frame of what was done: conservation is proven for all of it."""


def evaluate(
    job: str,
    engine: str,
    stage: str,
    frames: Mapping[str, Rows],
    *,
    left_out: Collection[str] = (),
    observed: bool = False,
) -> GateResult:
    """Evaluate the suite of a job's stage on the frames.

    Parameters
    ----------
    frames
        Frame name → rows; each row has a ``subject``.
    left_out
        Subjects of whose state nothing is to be proven. What was done to them is looked at all the same.
    observed
        Whether nothing may be changed: then no right to change is asked for.

    Returns
    -------
    GateResult
        ``success`` only when every expectation was evaluated and held.

    Raises
    ------
    ConfigurationError
        The suite is missing or says something impossible.
    """
    suite = load(job, stage, engine)
    failed: list[GateFailure] = []
    checked: list[str] = []
    evaluated, skipped = 0, False
    for name, written in suite.frames.items():
        checks = [c for c in written if not (observed and c.enforce)]
        if written and not checks:
            skipped = True  # nothing is asked of it here
            continue
        delivered = frames.get(name)
        rows = [row for row in delivered or () if name == OUTCOMES or row.get("subject") not in left_out]
        if delivered is None:
            failed.append(_blind(checks[0], f"frame '{name}' was not delivered"))
        elif delivered and not rows:
            continue  # all of it is left out
        elif not rows:
            evaluated += 1
            if name not in suite.may_be_empty:
                failed.append(_blind(checks[0], f"frame '{name}' has no rows"))
        else:
            asked = [c for c in checks if not c.implied or _missing(rows, c.kwargs["column"])]
            failed += _evaluate_frame(suite.name, asked, rows)
            evaluated += len(asked)
            checked += [c.expects for c in checks if not c.implied]
    return GateResult(
        suite=suite.name,
        stage=stage,
        success=not failed and (evaluated > 0 or bool(left_out) or skipped),
        evaluated=evaluated,
        failed=tuple(failed),
        checked=tuple(checked),
        left_out=tuple(sorted(left_out)),
    )


def complete(job: str, engine: str, stage: str, frames: Mapping[str, Rows]) -> bool:
    """Return whether everything that the suite looks at was seen: then "nothing to do" says what it says.

    Whether it holds is not evaluated, which needs Great Expectations.
    """
    suite = load(job, stage, engine)
    return all(
        (frames.get(name) or name in suite.may_be_empty)
        and not any(c.implied and _missing(frames.get(name, ()), c.kwargs["column"]) for c in checks)
        for name, checks in suite.frames.items()
    )


def _missing(rows: Rows, column: str) -> bool:
    """Return whether the column has a missing value: only then is it worth asking which rows fail by it."""
    return any(_say(row.get(column)) == _NOT_AVAILABLE for row in rows)


def _evaluate_frame(suite: str, checks: Sequence[Check], rows: Rows) -> list[GateFailure]:
    import pandas as pd  # noqa: PLC0415 - with Great Expectations, only when a gate is evaluated

    frame = pd.DataFrame([dict(row) for row in rows], dtype=object)
    frame[ROW] = range(len(frame))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Great Expectations' own; a gate speaks through its result
        batch = context().get_batch(batch_parameters={"dataframe": frame})
        first = batch.validate(ge_suite(suite, tuple(range(len(checks))), checks), result_format="BOOLEAN_ONLY")
        wrong = sorted(number_of(r) for r in first.results if not r.success)
        unanswered = set(range(len(checks))) - {number_of(r) for r in first.results}
        failures = [_blind(checks[n], "the expectation was not evaluated") for n in sorted(unanswered)]
        if wrong:
            complete = {"result_format": "COMPLETE", "unexpected_index_column_names": [ROW]}
            second = batch.validate(ge_suite(suite, tuple(wrong), checks), result_format=complete)
            by_number = {number_of(r): r for r in second.results}
            failures += [_failure(checks[n], by_number.get(n), rows) for n in wrong]
    return _without_repetition(failures, checks)


def _without_repetition(failures: list[GateFailure], checks: Sequence[Check]) -> list[GateFailure]:
    """Leave out that a column's values are missing where the column's own check already could not look."""
    implied = {c.label for c in checks if c.implied}
    blind = {f.summary for f in failures if f.expectation not in implied}
    return [f for f in failures if f.expectation not in implied or f.summary not in blind]


def _failure(check: Check, result: Any, rows: Rows) -> GateFailure:
    if result is None:
        return _blind(check, "the expectation was not evaluated")
    text = raised(result.exception_info)
    if text:
        return _blind(check, text)
    found = dict(result.result)
    places = [int(p[ROW]) for p in found.get("unexpected_index_list") or []]
    evidence: Json = {"why": check.why, "unexpected": found.get("unexpected_count", len(places))}
    if "observed_value" in found:
        evidence["observed"] = _plain(found["observed_value"])
    if places:
        evidence["rows"] = [_plain(dict(rows[p])) for p in places[:EVIDENCE_ROWS]]
    subjects = [str(rows[p].get("subject", "?")) for p in places]
    return check.fail(_summary(check, places, rows, evidence), subjects=subjects, evidence=evidence)


def _summary(check: Check, places: Sequence[int], rows: Rows, evidence: Json) -> str:
    columns = [check.kwargs[k] for k in ("column", "column_A", "column_B") if k in check.kwargs]
    named: list[str] = []
    for place in places[:NAMED_IN_SUMMARY]:
        values = ", ".join(f"{c} = {_say(rows[place].get(c))}" for c in columns)
        named.append(f"{rows[place].get('subject', '?')} ({values})")
    if len(places) > NAMED_IN_SUMMARY:
        named.append(f"and {len(places) - NAMED_IN_SUMMARY} more")
    where = ", ".join(named) or f"observed {_say(evidence.get('observed'))}"
    return f"expected: {check.expects}; not so: {where}"


def _blind(check: Check, reason: str) -> GateFailure:
    evidence: Json = {"why": check.why, "could_not_look": reason}
    failure = check.fail(f"expected: {check.expects}; could not look: {reason}", evidence=evidence)
    return failure.model_copy(update={"stops": "target"})  # nobody knows which subjects are concerned


def _say(value: Any) -> str:
    return _NOT_AVAILABLE if value is None or value != value else str(value)  # noqa: PLR0124 - NaN


def _plain(value: Any) -> Any:
    """Return a value that JSON can carry."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value == value else None  # noqa: PLR0124 - NaN
    return str(value)
