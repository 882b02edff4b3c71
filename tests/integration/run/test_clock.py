"""The nights when the clocks change: bounds stay contiguous, nothing is created twice, nothing goes too early.

(issue 3, "Robust"; anchors/postgres.md B3: pg_partman#334 no partition for one hour, #367, #373, #746.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from tests.harness.commands import Bed, Db


@dataclass(frozen=True)
class Night:
    """A change of the clocks: when, in UTC."""

    zone: str
    change: datetime

    @property
    def local(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


NIGHTS = {
    "Berlin, forward": Night("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    "Berlin, back": Night("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "Santiago, forward: no midnight": Night("America/Santiago", datetime(2026, 9, 6, 4, tzinfo=UTC)),
    "Santiago, back: midnight's hour before twice": Night("America/Santiago", datetime(2026, 4, 5, 3, tzinfo=UTC)),
}
HOURS_AROUND = (-26, -0.5, 0.5, 26)
AHEAD = 2
TABLES = {
    "days": ("timestamptz", "1 day"),
    "hours": ("timestamptz", "1 hour"),
    "wall_days": ("timestamp", "1 day"),
    "wall_hours": ("timestamp", "1 hour"),
    "dates": ("date", "1 day"),
}


@pytest.fixture
def db(bed: Bed) -> Iterator[Db]:
    with psycopg.connect(bed.target, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'; create schema app")
        yield connection


@pytest.mark.parametrize("name", NIGHTS)
def test_partitions_over_a_change_of_the_clocks(bed: Bed, db: Db, name: str) -> None:
    night = NIGHTS[name]
    for table, (type_, _) in TABLES.items():
        db.execute(f"create table app.{table} (at {type_} not null) partition by range (at)")
    policy = "partition: {{by: at, every: {}, ahead: {}, timezone: {}}}"
    bed.declare({f"app.{t}": policy.format(every, AHEAD, night.zone) for t, (_, every) in TABLES.items()})
    first = night.change + timedelta(hours=HOURS_AROUND[0])
    for hours in HOURS_AROUND:
        at = night.change + timedelta(hours=hours)
        done = bed.upkeep("run", "partition_creation", "--json", "--at", at.isoformat())
        assert done.status == 0, (hours, done.story)
        assert done.target["status"] in ("ok", "nothing_to_do"), (hours, done.story)
        for table in TABLES:
            contiguous(db, table)
            write(db, table, night, first, at)
    days = [(upper - lower) // timedelta(hours=1) for lower, upper in bounds(db, "days")]
    assert set(days) <= {23, 24, 25}
    assert [h for h in days if h != 24] == [25 if "back" in name else 23], days
    assert {upper - lower for lower, upper in bounds(db, "hours")} == {timedelta(hours=1)}
    for lower, _ in bounds(db, "days"):  # each begins when the local date does
        before = (lower - timedelta(seconds=1)).astimezone(night.local).date()
        assert before < lower.astimezone(night.local).date()
    for table in ("wall_days", "dates"):
        assert {upper - lower for lower, upper in bounds(db, table)} == {timedelta(days=1)}


@pytest.mark.parametrize("name", NIGHTS)
def test_retention_over_a_change_of_the_clocks(bed: Bed, db: Db, name: str) -> None:
    night = NIGHTS[name]
    db.execute("create table app.rows (id serial primary key, at timestamptz not null)")
    db.execute("create table app.wall (id serial primary key, at timestamp not null)")
    for table in ("rows", "wall"):
        db.execute(f"create index on app.{table} (at)")
    start = night.change - timedelta(hours=30)
    moments = [start + timedelta(minutes=15 * n) for n in range(60 * 4)]
    for moment in moments:
        db.execute("insert into app.rows (at) values (%s)", [moment])
        db.execute("insert into app.wall (at) values (%s)", [moment.astimezone(night.local).replace(tzinfo=None)])
    retain = f"retain: {{by: at, for: 1 day, then: delete, requires: nothing, timezone: {night.zone}}}"
    bed.declare({"app.rows": retain, "app.wall": retain}, more='limits: {share: "100 %"}')
    for hours in (-1, 0.5, 24):
        at = night.change + timedelta(hours=hours)
        done = bed.upkeep("run", "data_retention", "--json", "--at", at.isoformat())
        assert done.status == 0, (hours, done.story)
        # one day earlier by the local clock; where that shows an hour twice, or not at all, the earlier
        wall = at.astimezone(night.local).replace(tzinfo=None) - timedelta(days=1)
        cut_off = wall.replace(tzinfo=night.local)
        kept = [m for m in moments if m >= cut_off.astimezone(UTC)]
        left = [row[0] for row in db.execute("select at from app.rows order by at").fetchall()]
        assert left == kept, (hours, left[:3], kept[:3])
        walls = [row[0] for row in db.execute("select at from app.wall order by id").fetchall()]
        needed = [m.astimezone(night.local).replace(tzinfo=None) for m in kept]
        assert walls[-len(needed) :] == needed, hours  # none too early; an hour shown twice may stay for longer
        assert len(walls) - len(needed) <= 4, hours


def bounds(db: Db, table: str) -> list[tuple[datetime, datetime]]:
    """Return the bounds of a table's partitions from the catalog, in order."""
    rows = db.execute(
        "select pg_get_expr(c.relpartbound, c.oid) from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "where i.inhparent = %s::regclass",
        [f"app.{table}"],
    ).fetchall()
    found = []
    for (text,) in rows:
        lower, upper = (part.strip("('\")") for part in text.removeprefix("FOR VALUES FROM ").split(" TO "))
        found.append((datetime.fromisoformat(lower), datetime.fromisoformat(upper)))
    return sorted(found)


def contiguous(db: Db, table: str) -> None:
    known = bounds(db, table)
    for (_, upper), (lower, _) in itertools.pairwise(known):
        assert upper == lower, (table, upper, lower)


def write(db: Db, table: str, night: Night, first: datetime, at: datetime) -> None:
    """Write a row for every quarter of an hour, up to what is made ahead: none may be refused."""
    moments: list[datetime] = []
    steps = (at + timedelta(hours=AHEAD) - first) // timedelta(minutes=15)
    for moment in (first + timedelta(minutes=15 * n) for n in range(steps + 1)):
        wall = moment.astimezone(night.local).replace(tzinfo=None)
        last = at.astimezone(night.local).replace(tzinfo=None) + timedelta(hours=AHEAD)
        if wall <= last:  # where the clock leaps, an hour ahead on the wall is one that never comes
            moments.append(moment if TABLES[table][0] == "timestamptz" else wall)
    with db.cursor() as cursor:
        cursor.executemany(f"insert into app.{table} values (%s)", [(m,) for m in moments])
