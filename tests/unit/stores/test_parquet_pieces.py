"""How much of a file is in memory at once while it is made into wire again."""

from __future__ import annotations

import hashlib
import io
import secrets

import pytest

from upkeep.stores import parquet
from upkeep.stores.columns import Column
from upkeep.stores.draft import Draft

COLUMNS = [Column("id", "bigint", "int64"), Column("body", "text", "text")]


@pytest.mark.parametrize(("width", "rows", "most"), [(60_000, 400, 5 << 20), (10, 30_000, 1 << 20)])
def test_pieces_are_bounded_by_rows_and_by_bytes(width: int, rows: int, most: int) -> None:
    file = io.BytesIO()
    writer = parquet.Writer(Draft(file, None), COLUMNS, {})
    for first in range(0, rows, rows // 10):
        lines = (f'"{first + n}","{secrets.token_hex(width // 2)}"\n' for n in range(rows // 10))
        writer.feed("".join(lines).encode())
    writer.close()
    blocks = [bytes(block) for block in parquet.wire(file, COLUMNS)]
    assert max(map(len, blocks)) <= most
    assert len(blocks) <= 8
    assert hashlib.sha256(b"".join(blocks)).hexdigest() == writer.digest
