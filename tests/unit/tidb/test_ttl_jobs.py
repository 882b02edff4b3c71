"""What TTL jobs of TiDB promise: by the clock alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from upkeep.tidb import ttl
from upkeep.tidb.ttl_verification import jobs

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALWAYS = {"starts": "00:00 +0000", "ends": "23:59 +0000"}


def job(number: int, ago: timedelta) -> dict[str, Any]:
    at = (NOW - ago).replace(tzinfo=None)
    return {"id": number, "created": at, "finished": at, "expire": at - timedelta(days=30), "errors": 0}


def test_the_job_before_the_last_promises_or_the_last_when_one_more_is_late() -> None:
    wait = jobs.patience(3600, ALWAYS)
    assert jobs.promise([1], [], [], NOW, wait).finished is None
    one = jobs.promise([1], [job(1, HOUR)], [], NOW, wait)
    assert (one.bound, one.finished) == (None, NOW - HOUR)
    two = jobs.promise([1], [job(1, HOUR), job(1, 2 * HOUR)], [], NOW, wait)
    assert (two.bound, two.since) == (NOW - 2 * HOUR - timedelta(days=30), NOW - 2 * HOUR)
    late = jobs.promise([1], [job(1, 5 * HOUR)], [], NOW, wait)
    assert late.bound == NOW - 5 * HOUR - timedelta(days=30)


def test_of_partitions_the_slowest_one_counts() -> None:
    found = [job(1, HOUR), job(1, 2 * HOUR), job(2, 2 * HOUR), job(2, 9 * HOUR)]
    promise = jobs.promise([1, 2], found, [{"id": 2, "silent": 900}], NOW, jobs.patience(3600, ALWAYS))
    assert (promise.since, promise.finished, promise.silent) == (NOW - 9 * HOUR, NOW - 2 * HOUR, 900.0)
    assert jobs.promise([1, 2, 3], found, [], NOW, HOUR).finished is None


def test_hours_without_jobs_lengthen_the_wait() -> None:
    assert jobs.patience(3600, ALWAYS | {"starts": "01:00 +0000"}) == jobs.patience(3600, ALWAYS) + timedelta(days=1)


@pytest.mark.parametrize(
    ("zone", "hour"), [("UTC", 12), ("Asia/Tokyo", 21), ("+08:00", 20), ("-03:30", 8), ("nonsense", 0)]
)
def test_a_wall_clock_is_the_servers_own(zone: str, hour: int) -> None:
    assert jobs.wall_clock(NOW, zone).hour == hour


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h", 3600), ("24h", 86_400), ("1h30m", 5400), ("1m", 60), ("1d", 86_400), ("", 86_400)]
)
def test_the_interval_of_jobs(text: str, seconds: float) -> None:
    option = f"/*T![ttl] TTL_JOB_INTERVAL='{text}' */" if text else ""
    assert ttl.job_interval(option) == seconds
