"""Gates: what must hold before and after a job, as Great Expectations suites that are data.

A suite is ``include/expectations/<job>.<stage>.json``, with additions for one engine in
``<job>.<stage>.<engine>.json``: per frame a list of expectations, each with its type and arguments as Great
Expectations names them, and in ``meta`` what it ``expects`` in words, ``why``, the ``remedy``, ``stops`` and
``null``. ``stops`` says whether a failure stops the whole ``target`` or only the failing ``subject``s. ``null``
says what a missing value means: ``fails`` (the default: could not look is never fine) or ``passes``.
A missing frame or column, an empty frame that may not be empty, and an expectation that raises are
failures. Great Expectations takes seconds to import, so this happens at the first evaluation, or in
`preload`, which a process that forks others calls once.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from upkeep import settings
from upkeep.errors import ConfigurationError
from upkeep.plan import GateFailure, GateResult, Json

Rows: TypeAlias = Sequence[Mapping[str, Any]]

EVIDENCE_ROWS = 20
"""Failing rows kept as evidence: enough to see the pattern, small enough for the ledger."""
NAMED_IN_SUMMARY = 3
"""Subjects named in the one-line summary; all of them are in ``subjects``."""
_ROW = "row number in frame"
_MAP_TYPES = ("expect_column_values_", "expect_column_value_")
_ABOUT_NULL = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null")
_NOT_AVAILABLE = "not available"
_STOPS = ("target", "subject")


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation of a suite and what its failure means.

    Attributes
    ----------
    type, kwargs
        As Great Expectations names them.
    expects
        What holds when all is well, in words.
    stops
        ``target`` or ``subject``.
    null_passes
        Whether a missing value is fine.
    implied
        Derived from another check (its values must be there), not written in the suite.
    """

    frame: str
    type: str
    kwargs: Json
    expects: str
    why: str
    remedy: str | None
    stops: str
    null_passes: bool = False
    implied: bool = False

    @property
    def label(self) -> str:
        """Return e.g. ``server.is_replica: expect_column_values_to_be_in_set``."""
        columns = [str(self.kwargs[k]) for k in ("column", "column_A", "column_B") if k in self.kwargs]
        return f"{'.'.join([self.frame, *columns])}: {self.type}"

    def fail(self, summary: str, *, subjects: Iterable[str] = (), evidence: Json | None = None) -> GateFailure:
        """Return the failure of this check."""
        return GateFailure(
            expectation=self.label,
            summary=summary,
            stops=self.stops,
            subjects=tuple(dict.fromkeys(subjects)),
            evidence=evidence or {},
            remedy=self.remedy,
        )


OUTCOMES = "outcomes"
"""The frame of what was done: conservation is proven for all of it."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The checks of one job at one stage on one engine, by frame."""

    name: str
    frames: Mapping[str, tuple[Check, ...]] = field(default_factory=dict)
    may_be_empty: frozenset[str] = frozenset()


def evaluate(
    job: str, engine: str, stage: str, frames: Mapping[str, Rows], *, left_out: Collection[str] = ()
) -> GateResult:
    """Evaluate the suite of a job's stage on the frames.

    Parameters
    ----------
    frames
        Frame name → rows; each row has a ``subject``.
    left_out
        Subjects of whose state nothing is to be proven. What was done to them is looked at all the same.

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
    evaluated = 0
    for name, checks in suite.frames.items():
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
        success=not failed and (evaluated > 0 or bool(left_out)),
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
    import pandas as pd  # noqa: PLC0415 - as in `_evaluate_frame`

    checks = [Check("rows", str(e["type"]), dict(e["kwargs"]), "", "", None, "subject") for e in entries]
    frame = pd.DataFrame([dict(row) for row in rows], dtype=object)
    frame[_ROW] = range(len(frame))
    complete = {"result_format": "COMPLETE", "unexpected_index_column_names": [_ROW]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = _context().get_batch(batch_parameters={"dataframe": frame})
        suite = _ge_suite(name, tuple(range(len(checks))), checks)
        found = {_number(result): result for result in batch.validate(suite, result_format=complete).results}
    return [_row_count(found.get(number), len(frame)) for number in range(len(checks))]


def _row_count(result: Any, rows: int) -> RowCount:
    if result is None or _raised(result.exception_info):
        return RowCount(blind="could not be evaluated: does the column exist, and is its type what is compared with?")
    about = dict(result.result)
    if "unexpected_count" not in about:  # of the table, not of its rows
        return RowCount(looked=rows, unexpected=0 if result.success else rows)
    places = tuple(int(place[_ROW]) for place in about.get("unexpected_index_list") or ())
    looked = int(about.get("element_count") or 0) - int(about.get("missing_count") or 0)
    return RowCount(looked=looked, unexpected=int(about["unexpected_count"]), places=places)


def preload() -> None:
    """Import Great Expectations and build its context now, for processes that are forked off this one."""
    _context()


@lru_cache(maxsize=64)
def load(job: str, stage: str, engine: str) -> Suite:
    """Read a suite and the engine's additions. Raises `ConfigurationError` that names file and place."""
    name = f"{job}.{stage}"
    folder = settings.include_dir() / "expectations"
    frames: dict[str, list[Check]] = {}
    may_be_empty: set[str] = set()
    for path in (folder / f"{name}.json", folder / f"{name}.{engine}.json"):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if frames or path.name != f"{name}.json":
                continue
            raise ConfigurationError(f"{path}: no gate suite for {job} ({stage}); a job has one per stage") from None
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path}: cannot read the gate suite: {error}") from error
        may_be_empty |= set(data.get("may_be_empty", ()))
        for frame, entries in data["frames"].items():
            frames.setdefault(frame, []).extend(
                _check(f"{path}: {frame}[{n}]", frame, e) for n, e in enumerate(entries)
            )
    return Suite(name, {f: tuple(_with_implied(checks)) for f, checks in frames.items()}, frozenset(may_be_empty))


def _check(where: str, frame: str, entry: Json) -> Check:
    try:
        meta = entry["meta"]
        check = Check(
            frame=frame,
            type=entry["type"],
            kwargs=dict(entry.get("kwargs", {})),
            expects=meta["expects"],
            why=meta["why"],
            remedy=meta.get("remedy"),
            stops=meta["stops"],
            null_passes={"fails": False, "passes": True}[meta.get("null", "fails")],
        )
    except (KeyError, TypeError) as error:
        message = f"{where}: needs type, kwargs, meta (expects, why, stops; null: fails or passes); wrong: {error}"
        raise ConfigurationError(message) from error
    if check.stops not in _STOPS:
        raise ConfigurationError(f"{where}: stops is {check.stops!r}; write 'target' or 'subject'")
    return check


def _with_implied(checks: Iterable[Check]) -> list[Check]:
    """Add, once per column, that its values are there: expectations on columns leave missing values out."""
    result: list[Check] = []
    seen: set[tuple[str, str, str]] = set()
    for check in checks:
        result.append(check)
        if check.null_passes or not check.type.startswith(_MAP_TYPES) or check.type in _ABOUT_NULL:
            continue
        kwargs = {k: v for k, v in check.kwargs.items() if k in ("column", "row_condition")}
        key = (check.kwargs["column"], json.dumps(check.kwargs.get("row_condition"), sort_keys=True), check.stops)
        if key in seen:
            continue
        seen.add(key)
        result.append(
            Check(
                frame=check.frame,
                type="expect_column_values_to_not_be_null",
                kwargs=kwargs,
                expects=check.expects,
                why="what cannot be seen cannot be called fine",
                remedy=check.remedy,
                stops=check.stops,
                implied=True,
            )
        )
    return result


def _missing(rows: Rows, column: str) -> bool:
    """Return whether the column has a missing value: only then is it worth asking which rows fail by it."""
    return any(_say(row.get(column)) == _NOT_AVAILABLE for row in rows)


def _evaluate_frame(suite: str, checks: Sequence[Check], rows: Rows) -> list[GateFailure]:
    import pandas as pd  # noqa: PLC0415 - with Great Expectations, only when a gate is evaluated

    frame = pd.DataFrame([dict(row) for row in rows], dtype=object)
    frame[_ROW] = range(len(frame))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Great Expectations' own; a gate speaks through its result
        batch = _context().get_batch(batch_parameters={"dataframe": frame})
        first = batch.validate(_ge_suite(suite, tuple(range(len(checks))), checks), result_format="BOOLEAN_ONLY")
        wrong = sorted(_number(r) for r in first.results if not r.success)
        unanswered = set(range(len(checks))) - {_number(r) for r in first.results}
        failures = [_blind(checks[n], "the expectation was not evaluated") for n in sorted(unanswered)]
        if wrong:
            complete = {"result_format": "COMPLETE", "unexpected_index_column_names": [_ROW]}
            second = batch.validate(_ge_suite(suite, tuple(wrong), checks), result_format=complete)
            by_number = {_number(r): r for r in second.results}
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
    raised = _raised(result.exception_info)
    if raised:
        return _blind(check, raised)
    found = dict(result.result)
    places = [int(p[_ROW]) for p in found.get("unexpected_index_list") or []]
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


def _raised(info: Any) -> str | None:
    """Return the message of what an expectation raised; the information comes flat or keyed by metric."""
    infos = [info] if "raised_exception" in (info or {}) else list((info or {}).values())
    messages = [str(i.get("exception_message")) for i in infos if isinstance(i, Mapping) and i.get("raised_exception")]
    return messages[0].removeprefix("Error: ") if messages else None


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


def _number(result: Any) -> int:
    return int(result.expectation_config.meta["number"])


def _ge_suite(name: str, numbers: tuple[int, ...], checks: Sequence[Check]) -> Any:
    import great_expectations as gx  # noqa: PLC0415 - see the module's docstring
    from great_expectations import expectations  # noqa: PLC0415

    built = []
    for n in numbers:
        kind = getattr(expectations, "".join(part.capitalize() for part in checks[n].type.split("_")), None)
        if kind is None:
            raise ConfigurationError(f"{name}: {checks[n].label}: Great Expectations knows no such expectation")
        try:
            built.append(kind(**checks[n].kwargs, meta={"number": n}))
        except ValueError as error:
            raise ConfigurationError(f"{name}: {checks[n].label}: {error}") from error
    return gx.ExpectationSuite(name, expectations=built)


@lru_cache(maxsize=1)
def _context() -> Any:
    """Return the batch definition that every frame goes through, in an ephemeral context of this process."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx  # noqa: PLC0415 - see the module's docstring
        from great_expectations import expectations as _expectations  # noqa: F401, PLC0415
        from great_expectations.data_context.types import base  # noqa: PLC0415

        config = base.DataContextConfig(
            progress_bars=base.ProgressBarsConfig(globally=False, metric_calculations=False),
            store_backend_defaults=base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        )
        context = gx.get_context(mode="ephemeral", project_config=config)
        asset = context.data_sources.add_pandas("upkeep").add_dataframe_asset("frame")
        return asset.add_batch_definition_whole_dataframe("all rows")
