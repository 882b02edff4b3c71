"""What may be asked of reindexing."""

from __future__ import annotations

from typing import Any

import pytest

from upkeep.errors import ConfigurationError
from upkeep.jobs import spec
from upkeep.jobs.reindex.request import LIMIT, MIN_BLOAT, MIN_BYTES, ReindexRequest, asked

ROW = spec.require("reindex")


@pytest.mark.parametrize(
    "values",
    [{}, {"index": [], "min_size": "", "limit": None}, {"index": None}],
)
def test_a_form_that_nobody_filled_in_asks_for_nothing(values: dict[str, Any]) -> None:
    request = asked(ROW.asks(values))
    assert request == ReindexRequest()
    assert request.asked() == {}
    assert (request.least_bytes, request.least_bloat, request.most) == (MIN_BYTES, MIN_BLOAT, LIMIT)


def test_what_is_asked_is_read() -> None:
    request = asked(ROW.asks({"min_size": "200 MiB", "min_bloat": "35%", "limit": 2}))
    assert (request.least_bytes, request.least_bloat, request.most) == (200 * 1024**2, 0.35, 2)
    assert ROW.asks({"index": ["public.a"]}).asked() == {"index": ["public.a"]}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"min_size": "big"}, "'big' is not a size"),
        ({"min_size": "-1 GiB"}, "is not a size"),
        ({"min_bloat": "130 %"}, "is not a share"),
        ({"limit": 0}, "greater than or equal to 1"),
        ({"index": ["a"], "limit": 3}, "leave min_bloat, min_size and limit out"),
        ({"indexes": ["a"]}, "did you mean 'index'"),
    ],
)
def test_what_cannot_be_met_is_refused(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        ROW.asks(values)
