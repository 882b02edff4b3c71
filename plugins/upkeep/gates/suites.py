"""The suites, as data: which expectations a job must pass at which stage, and what their failure means.

A suite is ``include/expectations/<job>.<stage>.json``, with additions for one engine in
``<job>.<stage>.<engine>.json``: per frame a list of expectations, each with its type and arguments as Great
Expectations names them, and in ``meta`` what it ``expects`` in words, ``why``, the ``remedy``, ``stops`` and
``null``. ``stops`` says whether a failure stops the whole ``target`` or only the failing ``subject``s. ``null``
says what a missing value means: ``fails`` (the default: could not look is never fine) or ``passes``.
``mode: enforce`` is asked only where changes may be made: rights to change are nothing that an observer needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from upkeep import settings
from upkeep.errors import ConfigurationError
from upkeep.model import GateFailure, Json

Rows: TypeAlias = Sequence[Mapping[str, Any]]


_MAP_TYPES = ("expect_column_values_", "expect_column_value_")


_ABOUT_NULL = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null")


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
    enforce
        Whether it is asked only where changes may be made.
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
    enforce: bool = False
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


@dataclass(frozen=True, slots=True)
class Suite:
    """The checks of one job at one stage on one engine, by frame."""

    name: str
    frames: Mapping[str, tuple[Check, ...]] = field(default_factory=dict)
    may_be_empty: frozenset[str] = frozenset()


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
            enforce={"any": False, "enforce": True}[meta.get("mode", "any")],
        )
    except (KeyError, TypeError) as error:
        meant = "expects, why, stops; null: fails or passes; mode: enforce"
        message = f"{where}: needs type, kwargs, meta ({meant}); wrong: {error}"
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
                enforce=check.enforce,
                implied=True,
            )
        )
    return result
