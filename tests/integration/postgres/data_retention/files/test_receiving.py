"""Rows of a COPY in blocks: the same bytes as row by row, and a connection that can go on whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, LiteralString

import psycopg
import pytest

from upkeep.postgres.data_retention.files.receive import Received

ROWS = "copy (select n, repeat('x', n % 300) from generate_series(1, 20000) n) to stdout (format csv)"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def usable(db: psycopg.Connection[Any]) -> bool:
    return db.execute("select 1").fetchall() == [(1,)]


@pytest.mark.parametrize("size", [1, 1000, 1 << 20, 1 << 30])
def test_the_same_bytes(db: psycopg.Connection[Any], size: int) -> None:
    with db.cursor().copy(ROWS) as stream:
        wanted = b"".join(bytes(row) for row in stream)
    with db.cursor().copy(ROWS) as stream:
        received = Received(stream, size)
        blocks = list(received)
    assert b"".join(blocks) == wanted
    assert all(block.endswith(b"\n") for block in blocks)
    assert all(len(block) >= size for block in blocks[:-1])
    assert received.rows == 20000
    assert usable(db)


def test_no_rows(db: psycopg.Connection[Any]) -> None:
    with db.cursor().copy("copy (select 1 where false) to stdout") as stream:
        received = Received(stream, 10)
        assert list(received) == []
        assert received.rows == 0
    assert usable(db)


def take(db: psycopg.Connection[Any], statement: LiteralString, each: Callable[[], object] = int) -> None:
    with db.cursor().copy(statement) as stream:
        for _ in Received(stream, 100):
            each()


def test_an_error_after_many_rows(db: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        take(db, "copy (select 1 / (20000 - n) from generate_series(1, 30000) n) to stdout")
    assert usable(db)


def test_leaving_in_the_middle(db: psycopg.Connection[Any]) -> None:
    def leave() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        take(db, ROWS, leave)
    assert usable(db)


def test_a_backend_that_is_ended(db: psycopg.Connection[Any], database: str) -> None:
    with psycopg.connect(database, autocommit=True) as other:
        end = partial(other.execute, "select pg_terminate_backend(%s)", [db.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            take(db, "copy (select n, pg_sleep(0.001) from generate_series(1, 1000000) n) to stdout", end)
    assert db.closed
