"""Names, statements, keys, TTL, archives and SHOW CREATE of the TiDB room: tables of examples."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upkeep.errors import ConfigurationError
from upkeep.jobs.partition_creation.axis import HIGHEST, LOWEST, UnknownBoundsError
from upkeep.model.intervals import Duration
from upkeep.tidb import create_text, keys, names, sql, ttl
from upkeep.tidb.data_retention import archive_table, detached

UTC_ZONE = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("app.logs", "app", "logs"),
        ("logs", "shop", "logs"),
        ("app.`Mixed case`", "app", "Mixed case"),
        ('"we.ird"."ta""ble"', "we.ird", 'ta"ble'),
        ("`a``b`.`c*d`", "a`b", "c*d"),
    ],
)
def test_names(text: str, schema: str, name: str) -> None:
    pattern = names.parse(text)
    assert not pattern.is_glob
    assert pattern.exact("shop") == names.Name(schema, name)
    assert pattern.matches(schema.upper(), name.upper(), "shop")


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a.b.c", "a b", "``", "`a", "a`b`", "a;b"])
def test_what_is_no_name_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match="backticks"):
        names.parse(text)


def test_globs() -> None:
    pattern = names.parse("app.log_*")
    assert pattern.is_glob
    assert pattern.matches("app", "log_2024", "x")
    assert not pattern.matches("app", "blog_2024", "x")
    with pytest.raises(ConfigurationError):
        pattern.exact("x")


@given(st.text(min_size=1).filter(lambda t: "\0" not in t))
def test_identifiers_are_one_token(name: str) -> None:
    quoted = sql.identifier(name).text
    assert quoted[0] == quoted[-1] == "`"
    assert quoted[1:-1].replace("``", "") == name.replace("`", "")


def test_holes_are_filled_in_one_pass() -> None:
    filled = sql.fill("select {a} from t where x = %(v)s", {"v": "{a} %(v)s '"}, a=sql.identifier("%(v)s"))
    assert filled.text == "select `%(v)s` from t where x = '{a} %(v)s \\''"
    assert sql.literal(datetime(2024, 1, 1, 12, tzinfo=ZoneInfo("Asia/Tokyo"))).text == "'2024-01-01 03:00:00'"


@pytest.mark.parametrize(
    ("method", "expression", "expected"),
    [
        ("RANGE COLUMNS", "`at`", keys.Key("at", "", True)),
        ("RANGE COLUMNS", "`a`t`", keys.Key("a`t", "", True)),
        ("RANGE", "`a``t`", keys.Key("a`t", "", False)),
        ("RANGE", "UNIX_TIMESTAMP(`a``t`)", keys.Key("a`t", "unix_timestamp", False)),
        ("RANGE", "FLOOR(UNIX_TIMESTAMP(`at`))", keys.Key("at", "unix_timestamp", False)),
        ("RANGE", "TO_DAYS(`at`)", keys.Key("at", "to_days", False)),
        ("RANGE", "`id` DIV 7", "partitioned by range of the expression `id` DIV 7"),
        ("RANGE COLUMNS", "`a`,`b`", "partitioned by range of several columns (`a`,`b`)"),
        ("HASH", "`id`", "partitioned by hash"),
    ],
)
def test_keys(method: str, expression: str, expected: keys.Key | str) -> None:
    assert keys.read_key(method, expression) == expected


@pytest.mark.parametrize(
    ("function", "type_", "text"),
    [
        ("", "datetime", "2024-02-01 00:00:00"),
        ("", "date", "2024-02-01"),
        ("to_days", "date", "739282"),
        ("to_seconds", "datetime", "63873964800"),
        ("year", "date", "2024"),
        ("unix_timestamp", "timestamp", "1706745600"),
    ],
)
def test_bounds_are_read_and_written(function: str, type_: str, text: str) -> None:
    scale = keys.scale(keys.Key("at", function, not function), type_, UTC_ZONE, None)
    value = scale.read(f"'{text}'")
    assert scale.number(value) == text
    if function != "year":
        assert scale.axis.instant(value) == datetime(2024, 2, 1, tzinfo=UTC)
    assert scale.read("MAXVALUE") == HIGHEST
    with pytest.raises(UnknownBoundsError):
        scale.read("x")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("'2026-12-01 00:00:00.000000'", "2026-12-01 00:00:00"),
        ("'2026-12-01'", "2026-12-01 00:00:00.0"),
        ("'2026-12-01 10:00:00.120'", "2026-12-01 10:00:00.12"),
        ("100", "'100'"),
        ("1704067200.000000", "1704067200"),
        ("maxvalue", None),
        ("0000-00-00", "'0000-01-01 00:00:00'"),
    ],
)
def test_the_same_bound_in_two_ways(one: str, other: str | None) -> None:
    assert keys.place(one) == keys.place(other)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("-200", "-100"),
        ("9", "10"),
        ("9223372036854775807", "18446744073709551615"),
        ("18446744073709551615", "MAXVALUE"),
        ("1704067200", "1704067200.5"),
        ("0000-01-01", "0001-01-01"),
        ("'2026-12-01 00:00:00'", "'2026-12-01 00:00:00.000001'"),
        ("'9999-12-31 23:59:59.999999'", "MAXVALUE"),
    ],
)
def test_bounds_are_ordered_as_values(low: str, high: str) -> None:
    assert keys.place(low) < keys.place(high)


@pytest.mark.parametrize("text", ["x", "", "'2024-13-01'", "1e5"])
def test_what_is_no_bound_is_not_guessed(text: str) -> None:
    with pytest.raises(UnknownBoundsError):
        keys.place(text)


def test_the_year_zero_is_the_beginning() -> None:
    assert keys.scale(keys.Key("at", "", True), "datetime", UTC_ZONE, None).read("'0000-01-01 00:00:00'") == LOWEST


@pytest.mark.parametrize(
    ("type_", "unsigned", "last"),
    [
        ("tinyint", False, 127),
        ("smallint", True, 65_535),
        ("mediumint", False, 8_388_607),
        ("int", False, 2_147_483_647),
        ("bigint", False, 2**63 - 1),
        ("bigint", True, 2**64 - 1),
        ("year", False, 2155),
    ],
)
def test_where_types_end(type_: str, unsigned: bool, last: int) -> None:
    scale = keys.scale(keys.Key("id", "", False), type_, UTC_ZONE, "id", unsigned=unsigned)
    assert (scale.number(last), scale.number(last + 1)) == (str(last), "MAXVALUE")
    assert scale.bound(last + 1).text == "MAXVALUE"
    assert scale.can_add(last) == (last < 2**63)
    assert scale.can_add(last + 1)
    assert scale.reaches_end(last - 13, 10)
    assert not scale.reaches_end(last - 14, 10)  # 15 ids more: the layout cuts them into two periods
    assert scale.read(None) > scale.read(str(last))


def test_a_timestamp_ends_in_2038_and_a_datetime_does_not() -> None:
    stamp = keys.scale(keys.Key("at", "unix_timestamp", False), "timestamp", UTC_ZONE, None)
    assert stamp.axis.end is not None
    assert stamp.axis.instant(stamp.axis.end) == datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC)
    assert stamp.number(stamp.axis.end) == "MAXVALUE"
    assert keys.scale(keys.Key("at", "", True), "datetime", UTC_ZONE, None).axis.end is None


@pytest.mark.parametrize(
    ("function", "type_", "every", "unit", "fits"),
    [
        ("", "datetime", Duration(months=1), None, True),
        ("year", "date", Duration(months=1), None, False),
        ("year", "date", Duration(months=12), None, True),
        ("to_days", "datetime", Duration(seconds=3600), None, False),
        ("to_days", "timestamp", Duration(days=1), None, False),
        ("", "datetime", 1000, None, False),
        ("", "bigint", Duration(days=1), None, False),
        ("", "bigint", Duration(days=1), "seconds", True),
        ("", "varchar", Duration(days=1), None, False),
    ],
)
def test_policies_that_do_not_fit(
    function: str, type_: str, every: Duration | int, unit: str | None, fits: bool
) -> None:
    assert (keys.unfit(keys.Key("at", function, not function), type_, every, unit) is None) == fits


def test_time_to_live_is_read_and_left_out() -> None:
    options = " ENGINE=InnoDB /*T![ttl] TTL=`a``t` + INTERVAL 3 MONTH */ /*T![ttl] TTL_ENABLE='OFF' */ COMMENT='x'"
    found = ttl.read(options)
    assert found == ttl.Ttl("a`t", "3 month", Duration(months=3), enabled=False)
    assert "ttl" not in ttl.without(options).lower()
    assert ttl.read(" ENGINE=InnoDB") is None


def test_a_table_is_taken_apart_whatever_its_texts_contain() -> None:
    text = (
        "CREATE TABLE `e (vil\nPARTITION BY ` (\n  `id` bigint NOT NULL /*T![auto_rand] AUTO_RANDOM(5) */,\n"
        "  `v` varchar(40) DEFAULT 'a)b''(\\'' COMMENT '\nPARTITION BY RANGE'\n) ENGINE=InnoDB COMMENT='it''s; (\n"
        "PARTITION BY x' /*T![ttl] TTL=`at` + INTERVAL 3 DAY */\nPARTITION BY RANGE (`id`)\n(PARTITION `p` VALUES …)"
    )
    made = create_text.take_apart(text).like(sql.identifier("x"), sql.literal("marker")).text
    assert made.startswith("create table `x` (\n  `id` bigint")
    assert made.endswith(") ENGINE=InnoDB comment = 'marker'")
    assert "it''s" not in made
    with pytest.raises(ValueError, match="unknown form"):
        create_text.take_apart("CREATE VIEW")


@pytest.mark.parametrize(
    ("source", "archive", "expected"),
    [
        ("int", "bigint", True),
        ("bigint", "int", False),
        ("int unsigned", "bigint", True),
        ("int unsigned", "int", False),
        ("int", "bigint unsigned", False),
        ("varchar(10)", "varchar(20)", True),
        ("varchar(20)", "varchar(10)", False),
        ("varchar(20)", "text", True),
        ("text", "varchar(1024)", False),
        ("text", "longtext", True),
        ("decimal(10,2)", "decimal(12,2)", True),
        ("decimal(10,2)", "decimal(10,4)", False),
        ("datetime", "datetime(3)", True),
        ("datetime(6)", "datetime(3)", False),
        ("datetime", "timestamp", False),
        ("json", "json", True),
        ("enum('a')", "enum('a','b')", False),
        ("varbinary(3)", "varbinary(5)", True),
        ("binary(3)", "binary(5)", False),
    ],
)
def test_types_fit(source: str, archive: str, expected: bool) -> None:
    assert archive_table.fits(source, archive) == expected


@given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64), st.integers(1, 2**62))
def test_exchange_tables_have_names_that_fit(table: str, partition: str, oid: int) -> None:
    name = detached.table_name(table, partition, oid)
    assert len(name) <= names.MAX_CHARACTERS
    assert name.endswith(f"__{oid}")


def _key(*parts: str | None, name: str = "u", **more: object) -> list[dict[str, object]]:
    rest = {"prefix": None, "expression": None, "collation": None, "is_own": False, **more}
    return [{"name": name, "place": n + 1, "column": column, **rest} for n, column in enumerate(parts)]


@pytest.mark.parametrize(
    ("ours", "theirs", "safe"),
    [
        (_key("id"), _key("id"), True),
        (_key("id"), _key("ID", "at"), True),
        (_key("id", "at"), _key("id"), False),
        ([], _key("id"), False),
        (_key("id"), _key("id") + _key("mail", name="m"), False),
        (_key("id"), _key("no", is_own=True), True),
        (_key("id"), _key("id", is_own=True), True),
        (_key("at"), _key("id", is_own=True), False),
        (_key("k", prefix=5), _key("k", prefix=9), True),
        (_key("k", prefix=9), _key("k", prefix=5), False),
        (_key("k"), _key("k", prefix=5), False),
        (_key(None, expression="lower(`a`)"), _key(None, expression="lower(`a`)"), True),
        (_key(None, expression="lower(`a`)"), _key(None, expression="lower(`b`)"), False),
        (_key("k", collation="utf8mb4_bin"), _key("k", collation="utf8mb4_general_ci"), False),
        (_key("k", collation="utf8mb4_general_ci"), _key("k", collation="utf8mb4_bin"), True),
        (_key("k", collation="utf8mb4_0900_ai_ci"), _key("k", collation="utf8mb4_bin"), False),
    ],
)
def test_unique_keys_of_an_archive(ours: list[dict[str, object]], theirs: list[dict[str, object]], safe: bool) -> None:
    assert (archive_table.key_drift(ours, theirs, "kept", copied=("id", "at", "mail", "k")) == []) == safe


def test_checks_and_foreign_keys_are_read_from_the_text() -> None:
    text = (
        "(\n  `id` int,\n  CONSTRAINT `c``1` CHECK ((`id` > 0)),\n  CONSTRAINT `off` CHECK ((`id` > 1)) "
        "/*!80016 NOT ENFORCED */,\n  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `a`.`b` (`id`) ON DELETE SET NULL "
        "ON UPDATE CASCADE\n)"
    )
    assert create_text.constraints(text) == [
        {"name": "`c``1`", "text": "CHECK ((`id` > 0))", "on_delete": ""},
        {"name": "`f`", "text": "FOREIGN KEY (`id`) REFERENCES `a`.`b` (`id`)", "on_delete": "SET NULL"},
    ]


@pytest.mark.parametrize(
    ("left", "counted", "statistics", "odd"),
    [
        (10, 10, 0, False),
        (10, 5, 99, False),
        (10, 11, 0, True),
        (100, None, 109, False),
        (100, None, 120, True),
        (None, None, 99, False),
    ],
)
def test_a_detached_table_that_grew(left: int | None, counted: int | None, statistics: int, odd: bool) -> None:
    assert (detached.grown(left, counted, statistics) is not None) == odd


@pytest.mark.parametrize(
    ("left", "counted", "statistics", "odd"),
    [
        ({"rows": 10, "planned_rows": 99}, 11, 0, True),
        ({"then": "delete", "planned_rows": 31}, 2_031, 0, False),
        ({"then": "delete", "planned_rows": 31}, 2_032, 0, True),
        ({"then": "delete", "planned_rows": 1_000_000}, None, 1_200_000, False),
        ({"then": "delete", "planned_rows": 1_000_000}, None, 1_200_001, True),
        ({"then": "delete", "planned_rows": 0}, 1, 0, True),
        ({"then": "delete"}, None, 0, True),
        ({}, None, 99, False),  # of an earlier release
    ],
)
def test_a_detached_table_that_could_not_be_counted(
    left: dict[str, object], counted: int | None, statistics: int, odd: bool
) -> None:
    assert (detached.odd_rows(left, counted, statistics) is not None) == odd
