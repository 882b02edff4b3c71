"""Names, rows and sessions that mean no good: the whole path does the same as ever.

(issue 3, "Robust"; DESIGN 5.2; anchors/postgres.md B3.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.harness import commands as help_
from tests.harness import least
from tests.harness.cases import AT, MONTH
from tests.harness.commands import Bed, Db

SCHEMA: Final = 'Sché"ma; %s {0} \\'
LOGS: Final = "Ta\"ble'; drop table app.kept; -- %(x)s {b} \\x"
LONG: Final = "日本" * 10 + "abc"  # 63 bytes
FRESH: Final = "日本" * 10 + "abd"
AGE: Final = 'At "%s" {at}\\'
ARCHIVE: Final = "Kept %% {kept}'"


def quoted(*parts: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


WORLD: Final = f"""
drop schema if exists {quoted(SCHEMA)} cascade;
drop schema if exists evil cascade;
create schema {quoted(SCHEMA)};
create schema evil;
create function evil.now() returns timestamptz language sql as 'select timestamptz ''1999-01-01''';
create function evil.to_regclass(text) returns regclass language sql as 'select null::regclass';
create table evil.pg_class (oid oid, relname name);
create table evil.pg_inherits (inhrelid oid, inhparent oid);

create table {quoted(SCHEMA, LOGS)} (id bigint, {quoted(AGE)} timestamptz not null, primary key (id, {quoted(AGE)}))
    partition by range ({quoted(AGE)});
create table {quoted(SCHEMA, LONG)} partition of {quoted(SCHEMA, LOGS)} {MONTH.format(3, 4)};
create index on {quoted(SCHEMA, LONG)} ({quoted(AGE)}, id) where id > 5;
create table {quoted(SCHEMA, "Default")} partition of {quoted(SCHEMA, LOGS)} default;
insert into {quoted(SCHEMA, LOGS)} select n, '2024-04-10 00:00+00' from generate_series(1, 30) n;
insert into {quoted(SCHEMA, LOGS)} select n, '2024-03-10 00:00+00' from generate_series(31, 60) n;

create table {quoted(SCHEMA, FRESH)} (id bigint, at timestamptz not null) partition by range (at);
create table {quoted(SCHEMA, "empty")} (id bigint primary key, at timestamptz);

create table {quoted(SCHEMA, "rows")} (
    id bigint primary key, {quoted(AGE)} timestamptz, b bytea, i interval, f double precision, a text[], s text
);
create index on {quoted(SCHEMA, "rows")} ({quoted(AGE)});
insert into {quoted(SCHEMA, "rows")}
    select n, case when n % 10 = 0 then null when n <= 50 then timestamptz '2024-01-10 00:00+00' else '2024-03-10' end,
        '\\x5c00ff27', interval '-1 mon 3 days 04:05:06', 0.1::float8 / 3, array['a', null, '{{"\\'], E'\\\\ '' " % \\n'
    from generate_series(1, 100) n;
create table {quoted(SCHEMA, ARCHIVE)} (like {quoted(SCHEMA, "rows")} including all);

create table {quoted(SCHEMA, "parts")} (id bigint, at date not null) partition by range (at);
create table {quoted(SCHEMA, "parts_1")} partition of {quoted(SCHEMA, "parts")}
    for values from ('2024-01-01') to ('2024-02-01');
create table {quoted(SCHEMA, "parts_3")} partition of {quoted(SCHEMA, "parts")}
    for values from ('2024-03-01') to ('2024-04-01');
insert into {quoted(SCHEMA, "parts")} select n, '2024-01-10' from generate_series(1, 10) n;
insert into {quoted(SCHEMA, "parts")} select n, '2024-03-10' from generate_series(11, 30) n;
analyze;
"""


def as_yaml(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


BY: Final = as_yaml(quoted(AGE))
RETAIN: Final = "retain: {by: %s, for: 30 days, requires: nothing, then: %s}"
FLEET: Final = {
    quoted(SCHEMA, LOGS): f"partition: {{by: {BY}, every: 1 month, ahead: 2}}",
    quoted(SCHEMA, FRESH): "partition: {by: at, every: 1 day, ahead: 3, timezone: Europe/Berlin}",
    quoted(SCHEMA, "empty"): RETAIN % ("at", "delete"),
    quoted(SCHEMA, "rows"): RETAIN % (BY, f"archive, into: {as_yaml(quoted(SCHEMA, ARCHIVE))}"),
    quoted(SCHEMA, "parts"): RETAIN % ("at", "delete"),
}
SETTINGS: Final = {
    "zone and formats": {
        "timezone": "America/Santiago",
        "datestyle": "SQL, DMY",
        "intervalstyle": "sql_standard",
        "bytea_output": "escape",
        "extra_float_digits": "-15",
    },
    "strings": {
        "standard_conforming_strings": "off",
        "backslash_quote": "on",
        "quote_all_identifiers": "on",
        "array_nulls": "off",
        "client_encoding": "LATIN1",
        "client_min_messages": "debug1",
    },
    "transactions": {
        "default_transaction_isolation": "serializable",
        "default_transaction_read_only": "on",
        "default_transaction_deferrable": "on",
    },
    "time-outs": {
        "statement_timeout": "2s",
        "lock_timeout": "1ms",
        "idle_in_transaction_session_timeout": "100ms",
        "idle_session_timeout": "100ms",
    },
    "search path and planner": {
        "search_path": "evil, pg_catalog, public",
        "plan_cache_mode": "force_generic_plan",
        "enable_indexscan": "off",
        "row_security": "off",
        "check_function_bodies": "off",
        "session_replication_role": "replica",
    },
}


PARAMETERS: Final = 150_000
"""Since then a role may be allowed to set what is a superuser's; before, it is refused (`test_session.py`)."""
CLOCK: Final = re.compile(r"20(?:2[5-9]|[3-9]\d)-[0-9T:. -]+")
"""An instant of the real clock, as of which a partition is detached and kept; the world here is of 2024."""


@pytest.fixture
def db(bed: Bed) -> Iterator[Db]:
    with psycopg.connect(bed.target, autocommit=True) as connection:
        connection.execute("set client_min_messages = 'error'")
        yield connection
        if connection.info.server_version >= PARAMETERS:
            connection.execute(f"revoke set on parameter session_replication_role from {least.ROLE}")


def night(bed: Bed, db: Db) -> Any:
    """Make the world anew, run both jobs, and return how it is then, and what was said of it."""
    db.execute(WORLD)
    bed.declare(FLEET)
    said = {}
    for job in ("partition_creation", "data_retention"):
        done = bed.upkeep("run", job, *AT)
        assert done.status == 0, done.story
        assert done.target["status"] == "ok", done.story
        told = (CLOCK.sub("…", f["summary"]) for f in done.target["findings"])
        said[job] = done.outcomes(), sorted(told)
    return help_.picture(db, quoted(SCHEMA)), said


def test_names_and_rows(bed: Bed, db: Db) -> None:
    _, said = night(bed, db)
    assert said["partition_creation"][0] == {quoted(SCHEMA, LOGS): ["done"] * 2, quoted(SCHEMA, FRESH): ["done"] * 4}
    tables = {f"{quoted(SCHEMA)}.rows", f"{quoted(SCHEMA)}.parts"}
    assert set(said["data_retention"][0]) == tables
    one = sql.SQL("select count(*), count({}) from {}")
    left, kept = (
        db.execute(one.format(sql.Identifier(AGE), sql.Identifier(SCHEMA, name))).fetchone()
        for name in ("rows", ARCHIVE)
    )
    assert (left, kept) == ((55, 45), (45, 45))  # those without a time stay
    assert db.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(SCHEMA, "Default"))).fetchone() == (0,)
    assert db.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(SCHEMA, LOGS))).fetchone() == (60,)
    for job in ("partition_creation", "data_retention"):
        again = bed.upkeep("run", job, *AT)
        assert (again.status, again.target["status"]) == (0, "nothing_to_do"), again.story
        people = bed.upkeep("run", job, *AT[:2])
        assert people.status == 0, people.said
    assert bed.upkeep("check").status == 0


def may_set(db: Db) -> dict[str, dict[str, str]]:
    """Return the settings that our role may put right."""
    if db.info.server_version >= PARAMETERS:
        db.execute(f"grant set on parameter session_replication_role to {least.ROLE}")
        return SETTINGS
    return {
        name: {key: value for key, value in settings.items() if key != "session_replication_role"}
        for name, settings in SETTINGS.items()
    }


@pytest.mark.parametrize("on", ["database", "role"])
def test_settings_change_nothing(bed: Bed, db: Db, on: str) -> None:
    wanted = night(bed, db)
    bases = [str(conninfo_to_dict(uri)["dbname"]) for uri in (bed.target, bed.control)]
    wrong = {}
    for name, settings in may_set(db).items():
        places = [f'alter role {role} in database "{b}"' for role in (least.ROLE, least.OWNER) for b in bases]
        if on == "database":
            places = [f'alter database "{base}"' for base in bases]
        for place in places:
            for key, value in settings.items():
                words = value.split(", ") if key == "search_path" else [value]
                values = sql.SQL(", ").join(map(sql.Literal, words))
                db.execute(sql.SQL("{} set {} to {}").format(sql.SQL(place), sql.Identifier(key), values))
        try:
            found = night(bed, db)
        except AssertionError as error:
            wrong[name] = str(error)
        else:
            if found != wanted:
                wrong[name] = "another end"
        for place in places:
            db.execute(f"{place} reset all")
    assert wrong == {}


def test_a_thousand_partitions(bed: Bed, db: Db) -> None:
    db.execute("drop schema if exists app cascade; create schema app")
    db.execute("create table app.logs (id bigint, at timestamptz not null) partition by range (at)")
    db.execute(
        "do $$ begin for n in 1 .. 1000 loop execute format('create table app.logs_%s partition of app.logs "
        "for values from (%L) to (%L)', n, timestamptz '2024-03-16 00:00+00' - n * interval '1 day', "
        "timestamptz '2024-03-17 00:00+00' - n * interval '1 day'); end loop; end $$"
    )
    db.execute("set timezone = 'UTC'")
    db.execute(
        "insert into app.logs select n, timestamptz '2024-03-16' - n * interval '1 day' from generate_series(1, 1000) n"
    )
    db.execute("analyze app.logs")
    partition = "partition: {by: at, every: 1 day, ahead: 2}"
    bed.declare({"app.logs": f"{partition}\nretain: {{for: 990 days, then: delete, requires: nothing, grace: 0}}"})
    made = bed.upkeep("run", "partition_creation", *AT)
    assert (made.status, made.outcomes()) == (0, {"app.logs": ["done"] * 2}), made.story
    gone = bed.upkeep("run", "data_retention", *AT)
    assert (gone.status, gone.outcomes()) == (0, {"app.logs": ["done"] * 2 * 9}), gone.story
    assert db.execute("select count(*), min(at) from app.logs").fetchall()[0][0] == 991
    assert db.execute("select count(*) from pg_inherits").fetchone() == (993,)
    for job in ("partition_creation", "data_retention"):
        again = bed.upkeep("run", job, *AT)
        assert (again.status, again.target["status"]) == (0, "nothing_to_do"), again.story
