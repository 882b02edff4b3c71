"""Great Expectations, kept in one place: it takes seconds to import, so this happens at the first evaluation.

A process that forks others calls `preload` once before.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from upkeep.errors import ConfigurationError
from upkeep.gates.suites import Check

ROW = "row number in frame"


def preload() -> None:
    """Import Great Expectations and build its context now, for processes that are forked off this one."""
    context()


def ready() -> bool:
    """Return whether it is imported, so that an evaluation costs next to nothing."""
    return context.cache_info().currsize > 0


def number_of(result: Any) -> int:
    """Return which check of the suite a result is of."""
    return int(result.expectation_config.meta["number"])


def raised(info: Any) -> str | None:
    """Return the message of what an expectation raised; the information comes flat or keyed by metric."""
    infos = [info] if "raised_exception" in (info or {}) else list((info or {}).values())
    messages = [str(i.get("exception_message")) for i in infos if isinstance(i, Mapping) and i.get("raised_exception")]
    return messages[0].removeprefix("Error: ") if messages else None


def ge_suite(name: str, numbers: tuple[int, ...], checks: Sequence[Check]) -> Any:
    """Return the checks with these numbers as a suite of Great Expectations."""
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
def context() -> Any:
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
