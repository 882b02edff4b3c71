"""Every type into a file and back: archive → restore → EXCEPT both ways is empty."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.harness.archives import policy, restored, said
from tests.harness.postgres import AT, count, retention, session, target

NAMES = ['"Mixed Case"', '"quote"" and \'"', '"new\nline"', '"a.b"', '"%s {x} ;--"', '"ünï"', '"select"', '"1"', '","']
VALUES: dict[str, list[str]] = {
    "int2": ["-32768", "32767", "0"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807"],
    "oid": ["0", "4294967295"],
    "float4": ["'NaN'", "'Infinity'", "'-Infinity'", "-0.0", "3.4028235e38", "1e-45", "0.1"],
    "float8": ["'NaN'", "'Infinity'", "-0.0", "1.7976931348623157e308", "5e-324", "0.1", "1::float8/3"],
    "numeric(10,2)": ["0.01", "-99999999.99", "'NaN'"],
    "numeric(38,10)": ["0.0000000001", "-9999999999999999999999999999.9999999999", "1"],
    "numeric(60,20)": ["0.00000000000000000001", "1234567890123456789012345678901234567890.5"],
    "numeric(76)": ["9" * 76, "-1"],
    "numeric(80,2)": ["1.10", "9" * 78 + ".99"],
    "numeric(5,-2)": ["12300"],
    "numeric(2,4)": ["0.0012"],
    "numeric": ["1.10", "1.100", "'NaN'", "'Infinity'", "1e-200", "9" * 200],
    "bool": ["true", "false"],
    "text": [
        "''",
        "' '",
        "'\"'",
        "','",
        "E'a\\nb\\r\\n\\tc'",
        "E'\\\\N'",
        "E'\\\\.'",
        "'NULL'",
        "'ünï 🐘'",
        "repeat('x', 9000)",
    ],
    "varchar(5)": ["''", "'ab   '"],
    "char(5)": ["'ab'", "''"],
    "name": ["'abc'"],
    '"char"': ["'a'", "''"],
    "bytea": ["''", "'\\x00ff0a0d2c22'", "decode(repeat('ab', 9000), 'hex')"],
    "uuid": ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    "date": ["'0001-01-01'", "'9999-12-31'", "'1969-12-31'"],
    "date ": ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'"],
    "timestamp": ["'0001-01-01'", "'9999-12-31 23:59:59.999999'", "'1969-12-31 23:59:59.999999'"],
    "timestamp ": ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'294276-12-31 23:59:59.999999'"],
    "timestamptz": ["'0001-01-01 00:00+00'", "'9999-12-31 23:59:59.999999+00'", "'2024-10-27 02:30+02'"],
    "timestamptz ": ["'infinity'", "'4713-01-01 00:00+00 BC'"],
    "timestamp(3)": ["'2024-01-01 00:00:00.123456'"],
    "time": ["'00:00'", "'23:59:59.999999'", "'24:00'"],
    "timetz": ["'24:00+15:59'", "'00:00:00.000001-08'"],
    "interval": ["'1 year 2 months -3 days 04:05:06.000007'", "'-178000000 years'"],
    "json": ['\'{"b":  1, "a": [null]}\'', "'null'", "'\"\"'"],
    "jsonb": ['\'{"b":  1.10, "a": [null]}\'', "'null'"],
    "xml": ["'<a b=\"1\"/>'"],
    "inet": ["'10.0.0.1/8'", "'::1'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "bit(5)": ["'10101'"],
    "varbit": ["''", "'1'"],
    "money": ["'-12.34'"],
    "pg_lsn": ["'16/B374D848'"],
    "point": ["'(1.5,-0)'"],
    "tsvector": ["'a:1 b'"],
    "int4range": ["'empty'", "'[1,5)'", "'(,)'"],
    "int4[]": ["'{}'", "'{1,NULL,3}'", "'[0:1]={1,2}'", "'{{1,2},{3,4}}'"],
    "text[]": ["array['', null, 'NULL', 'a\"b', '{,}']"],
    "float8[]": ["array[0.1, 'NaN', '-Infinity']::float8[]"],
    "timestamptz[]": ["array['2024-01-01 00:00+00', 'infinity']::timestamptz[]"],
    "mood": ["'sad'", "'so \"so\"'"],
    "odd.int4": ["'one'"],
    "pair": ["row(1, 'a,b')", "row(null, '')"],
    "positive": ["5"],
    "price": ["12.30"],
}


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set timezone = 'Asia/Kathmandu'")
        connection.execute("create type mood as enum ('sad', 'so \"so\"')")
        connection.execute("create schema odd")
        connection.execute("create type odd.int4 as enum ('one')")
        connection.execute("create type pair as (a int, b text)")
        connection.execute("create domain positive as int check (value > 0)")
        connection.execute("create domain price as numeric(10, 2)")
        yield connection


def test_every_type_comes_back_as_it_was(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    strange = ("numeric(5,-2)", "numeric(2,4)") if db.info.server_version < 150_000 else ()  # cannot be declared there
    columns = {f"c{n}": type_ for n, type_ in enumerate(VALUES) if type_ not in strange}
    listed = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
    db.execute(f"create table logs (id int generated always as identity, at timestamptz, {listed})")
    db.execute("insert into logs (at) values ('2024-01-01')")
    for name, type_ in columns.items():
        for value in VALUES[type_]:
            db.execute(f"insert into logs (at, {name}) values ('2024-01-02', {value})")
    db.execute("create table before as select * from logs")
    with session(database) as opened:
        done = retention(target({"public.logs": policy(tmp_path)})).run(opened, AT)
        assert done.statuses == ["done"], said(done)
        assert count(db, "logs") == 0
        back = restored(opened, target({"public.logs": policy(tmp_path)}), "public.logs")
    assert [o.status for o in back.outcomes] == ["done"], said(back)
    # as text: types without equality, NaN and -0 are compared too, to the last bit
    same = "select l::text from {} l except all select l::text from {} l"
    assert db.execute(same.format("before", "logs")).fetchall() == []
    assert db.execute(same.format("logs", "before")).fetchall() == []
    fallen = set(done.outcomes[0].evidence["columns_as_text"])
    kept = {t for n, t in columns.items() if n in fallen}
    assert kept == {"numeric(10,2)", "date ", "timestamp ", "timestamptz ", "time"}


@pytest.mark.parametrize(
    ("type_", "value", "arrow"),
    [
        ("int2", "1", pa.int16()),
        ("float4", "0.1", pa.float32()),
        ("numeric(10,2)", "1.10", pa.decimal128(10, 2)),
        ("numeric(60,20)", "1.1", pa.decimal256(60, 20)),
        ("bytea", "'\\x00'", pa.binary()),
        ("uuid", "gen_random_uuid()", pa.uuid()),
        ("date", "'2024-01-01'", pa.date32()),
        ("timestamp(3)", "'2024-01-01'", pa.timestamp("us")),
        ("timestamptz", "'2024-01-01'", pa.timestamp("us", "UTC")),
        ("time", "'01:02:03'", pa.time64("us")),
        ("bool", "true", pa.bool_()),
        ("jsonb", "'{}'", pa.string()),
        ("odd.int4", "'one'", pa.string()),
    ],
)
def test_the_type_in_the_file(
    db: psycopg.Connection[Any], database: str, tmp_path: Path, *, type_: str, value: str, arrow: pa.DataType
) -> None:
    db.execute(f"create table logs (at timestamptz, v {type_})")
    db.execute(f"insert into logs values ('2024-01-01', {value}), ('2024-01-01', null)")
    with session(database) as opened:
        done = retention(target({"public.logs": policy(tmp_path)})).run(opened, AT)
    assert done.statuses == ["done"], said(done)
    (file,) = (tmp_path / "public/logs").glob("*.parquet")
    schema = pq.read_schema(file)
    assert schema.field("v").type == arrow
    about = json.loads(schema.metadata[b"upkeep"])
    assert (
        about["columns"][1]["type"]
        == db.execute(
            "select format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = 'logs'::regclass and attname = 'v'"
        ).fetchall()[0][0]
    )
    group = pq.ParquetFile(file).metadata.row_group(0).column(1)
    assert group.compression == "ZSTD"
    assert group.is_stats_set or type_ in ("uuid", "numeric(60,20)")


def test_hostile_names_and_generated_columns(db: psycopg.Connection[Any], database: str, tmp_path: Path) -> None:
    table = '"../Evil ""Schema"""."../ta.ble\n%"'
    db.execute('create schema "../Evil ""Schema"""')
    columns = ", ".join(f"{name} text" for name in NAMES)
    db.execute(
        f"create table {table} (id int generated always as identity primary key, at timestamptz, {columns}, "
        '"gen ""er" int generated always as (length("1")) stored)'
    )
    db.execute(
        f"insert into {table} (at, {', '.join(NAMES)}) select '2024-01-01', {', '.join(['n::text'] * len(NAMES))} "
        "from generate_series(1, 10) n"
    )
    db.execute(f"create table before as select * from {table}")
    what = target({'"../Evil ""Schema""".*': policy(tmp_path)})  # the line feed does not fit into this fleet's text
    with session(database) as opened:
        done = retention(what).run(opened, AT)
        assert done.statuses == ["done"], said(done)
        assert count(db, table) == 0
        assert {p.name for p in tmp_path.iterdir()} == {"%2E%2E%2FEvil%20%22Schema%22", "_location.json"}
        back = restored(opened, what, table)
    assert [o.status for o in back.outcomes] == ["done"], said(back)
    assert db.execute(f"table before except all table {table}").fetchall() == []
    assert count(db, table) == 10
