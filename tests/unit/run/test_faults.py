"""What errors say of themselves: never what is in a row."""

from __future__ import annotations

import pymysql
import pytest
import redis
from pymongo.errors import BulkWriteError, OperationFailure, WriteError

from upkeep.errors import UpkeepError
from upkeep.mongo import faults as mongo
from upkeep.redis import faults as of_redis
from upkeep.run import faults
from upkeep.tidb import faults as tidb

VALUE = "quetzal-4711"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1062, f"Duplicate entry '{VALUE}' for key 'a.b'"),
        (1064, f'You have an error in your SQL syntax; near "{VALUE}"'),
        (1105, f"other error: key {VALUE}"),
        (1292, f"Truncated incorrect DOUBLE value: '{VALUE}'"),
        (1366, f"Incorrect int value: '{VALUE}' for column 'a' at row 1"),
        (1526, f"Table has no partition for value {VALUE}"),
        (1690, f"BIGINT value is out of range in '({VALUE} - 1)'"),
        (3140, f"Invalid JSON text: {VALUE}"),
        (8141, f"assertion failed: key: {VALUE}"),
        (9007, f"Write conflict, key={{tableID=106, handle={VALUE}}}"),
    ],
)
def test_tidb(number: int, text: str) -> None:
    said = tidb.describe(pymysql.OperationalError(number, text))
    assert VALUE not in said
    assert str(number) in said


def test_tidb_says_what_names_no_row() -> None:
    assert "no_such" in tidb.describe(pymysql.ProgrammingError(1146, "Table 'app.no_such' doesn't exist"))


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (2, "BadValue"),
        (28, "PathNotViable"),
        (66, "ImmutableField"),
        (121, "DocumentValidationFailure"),
        (241, "ConversionFailure"),
        (10334, "BSONObjectTooLarge"),
        (11000, "DuplicateKey"),
        (17280, "KeyTooLong"),
        (40485, "Location40485"),
    ],
)
def test_mongo(number: int, name: str) -> None:
    text = f"E{number} {{ name: '{VALUE}' }}"
    for error in (
        OperationFailure(text, number, {"errmsg": text, "codeName": name}),
        WriteError(text, number, {"errmsg": text, "codeName": name}),
        BulkWriteError({"writeErrors": [{"code": number, "errmsg": text, "codeName": name}]}),
    ):
        assert VALUE not in mongo.describe(error)


def test_mongo_says_what_names_no_document() -> None:
    error = OperationFailure("not authorized on app", 13, {"errmsg": "not authorized on app", "codeName": "x"})
    assert "not authorized on app" in mongo.describe(error)


def test_mongo_says_what_was_not_allowed_without_the_command() -> None:
    text = f'not authorized on app to execute command {{ find: "m", filter: {{ _id: {{ $in: [ "{VALUE}" ] }} }} }}'
    for error in (
        OperationFailure(text, 13, {"errmsg": text, "codeName": "Unauthorized"}),
        OperationFailure(f"{text}, full error: {{}}", 13),
    ):
        assert VALUE not in mongo.describe(error)
        assert mongo.describe(error).startswith("not authorized on app (")


@pytest.mark.parametrize(
    "text",
    [
        f"unknown command 'EVAL', with args beginning with: '{VALUE}'",
        f"Error running script: '{VALUE}' is no number",
        f"WRONGTYPE Operation\n{VALUE}",
    ],
)
def test_redis(text: str) -> None:
    assert VALUE not in of_redis.describe(redis.ResponseError(text))


def test_redis_says_which_right_is_missing() -> None:
    error = redis.exceptions.NoPermissionError("this user has no permissions to run the 'xtrim' command")
    assert "no permissions" in of_redis.describe(error)


def test_what_nobody_expected_and_what_led_to_it() -> None:
    cause = pymysql.IntegrityError(1062, f"Duplicate entry '{VALUE}' for key 'a.b'")
    error = UpkeepError("it failed")
    error.__cause__ = cause
    assert faults.unexpected(error) == "it failed"
    assert VALUE not in str(cause)


@pytest.mark.parametrize("error", [ValueError(f"Invalid isoformat string: '{VALUE}'"), KeyError(VALUE)])
def test_what_python_says_of_a_value(error: Exception) -> None:
    text = faults.unexpected(error)
    assert VALUE not in text
    assert VALUE not in str(error)
    assert type(error).__name__ in text


def test_other_errors_speak() -> None:
    assert faults.unexpected(RuntimeError("no such thing")) == "RuntimeError: no such thing"
