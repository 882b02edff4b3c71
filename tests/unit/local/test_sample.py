"""The calendar of the sample fleet."""

from datetime import UTC, datetime

import pytest

from local.sample.months import AUDIT, LAYOUTS, Layout, month
from local.sample.series import SERIES, points


@pytest.mark.parametrize(
    ("now", "offset", "start"),
    [
        (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), 0, datetime(2026, 1, 1, tzinfo=UTC)),
        (datetime(2026, 1, 31, tzinfo=UTC), -1, datetime(2025, 12, 1, tzinfo=UTC)),
        (datetime(2026, 12, 1, tzinfo=UTC), 1, datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2026, 3, 31, tzinfo=UTC), -13, datetime(2025, 2, 1, tzinfo=UTC)),
    ],
)
def test_months(now: datetime, offset: int, start: datetime) -> None:
    assert month(now, offset) == start


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.table[:12])
def test_every_table_has_the_current_month_and_none_ahead(layout: Layout) -> None:
    assert max(layout.months) == 0
    assert len(layout.partition_name(datetime(2026, 1, 1, tzinfo=UTC)).encode()) <= 63


def test_the_hostile_name_is_hostile() -> None:
    assert all(character in AUDIT for character in "\"'; -")


def test_every_series_is_there_and_names_a_metric_once() -> None:
    assert len({(one.node_id, one.metric_name) for one in SERIES}) == len(SERIES)
    for one in SERIES:
        file, at, value = next(points(one))
        assert file == one.file
        assert datetime.fromisoformat(at).tzinfo is not None
        float(value)
