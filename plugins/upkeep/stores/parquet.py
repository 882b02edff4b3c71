"""Parquet files made from rows on the wire, and the wire made again from a file.

Memory stays flat: rows come in blocks of a few megabytes, a row group is written when it is large enough,
and a file is read back row group by row group. A digest over the wire is taken as it comes in; the file is
proven when the wire made from it has the same digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from upkeep.errors import UpkeepError
from upkeep.stores.arrays import decode, encode, kept_type, to_text, wire_type
from upkeep.stores.beside import mapped
from upkeep.stores.columns import FORMAT, Column, UnsayableError
from upkeep.stores.draft import Draft

GROUP_ROWS: Final = 100_000
GROUP_BYTES: Final = 32 << 20
"""A row group ends at so many rows or bytes on the wire: enough to compress well, little enough for memory."""
PIECE_ROWS: Final = 8_192
"""Rows of a file that are made into wire at a time: pieces that the processor's caches hold are twice as fast."""
PIECE_BYTES: Final = 4 << 20
"""And fewer where rows are wide: several pieces, and their wire, are in memory at the same time."""
THREADS: Final = 2
"""They make wire of pieces at the same time; who reads the file and takes the digest is a third."""
PIECES_AHEAD: Final = 8
COMPRESSION: Final = "zstd"
METADATA: Final = b"upkeep"
"""Key, in a file's schema metadata, of what is known of the table and of each column's type."""


@dataclass
class Writer:
    """Writes one file from blocks of the wire.

    Attributes
    ----------
    rows, digest
        Of all that came in: the number of rows, and a SHA-256 over the wire.
    lowest, highest
        Of the age column, as text; ``None`` without rows, and when it is kept as text.
    """

    draft: Draft
    columns: Sequence[Column]
    about: dict[str, Any]
    age: str | None = None
    rows: int = 0
    lowest: str | None = None
    highest: str | None = None
    _hash: Any = field(default_factory=hashlib.sha256)
    _file: Any = None
    _waiting: list[pa.Table] = field(default_factory=list)
    _waiting_bytes: int = 0
    _edges: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the columns' types once."""
        self._schema = schema(self.columns, self.about)
        names = [str(number) for number in range(len(self.columns))]
        self._read = csv.ReadOptions(column_names=names, use_threads=False)
        self._parse = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
        self._convert = csv.ConvertOptions(
            column_types={name: wire_type(column) for name, column in zip(names, self.columns, strict=True)},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["true"],
            false_values=["false"],
        )

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the wire."""
        return str(self._hash.hexdigest())

    def feed(self, block: bytes | bytearray) -> None:
        """Take whole rows. Raises `UnsayableError` when a value has no place in its column's type."""
        self._hash.update(block)
        table = self._table(block)
        self.rows += table.num_rows
        self._note_age(table)
        self._waiting.append(table)
        self._waiting_bytes += len(block)
        if self._waiting_bytes >= GROUP_BYTES or sum(t.num_rows for t in self._waiting) >= GROUP_ROWS:
            self._write()

    def close(self) -> None:
        """Write what waits and the file's end."""
        self._write()
        if self._file is not None:
            self._file.close()
        if self._edges:
            lowest, highest = min(e[0] for e in self._edges), max(e[1] for e in self._edges)
            self.lowest, self.highest = (
                to_text(self._age_column, pa.array([edge], kept_type(self._age_column)))[0].as_py()
                for edge in (lowest, highest)
            )

    def discard(self) -> None:
        """Let go of what was begun; its draft is thrown away."""
        self._waiting, file = [], self._file
        self._file = None
        if file is not None:
            with contextlib.suppress(pa.ArrowException, OSError, ValueError, UpkeepError):
                file.close()

    def _table(self, block: bytes | bytearray) -> pa.Table:
        self._read.block_size = len(block) + 1
        try:
            wire = csv.read_csv(
                pa.BufferReader(block),
                read_options=self._read,
                parse_options=self._parse,
                convert_options=self._convert,
            )
        except pa.ArrowInvalid as error:
            raise self._unsayable(str(error)) from error
        arrays = [decode(column, wire.column(number).combine_chunks()) for number, column in enumerate(self.columns)]
        return pa.Table.from_arrays(arrays, schema=self._schema)

    def _unsayable(self, text: str) -> Exception:
        """Return which column cannot be kept so; values are never shown."""
        _, found, rest = text.partition("In CSV column #")
        number = rest.split(":", 1)[0]
        if found and number.isdigit() and self.columns[int(number)].kind != "text":
            return UnsayableError(self.columns[int(number)].name)
        where = self.columns[int(number)].name if found and number.isdigit() else "a row"
        return ValueError(f"{where} holds what is no text in UTF-8: Parquet cannot keep it")

    @property
    def _age_column(self) -> Column:
        return next(column for column in self.columns if column.name == self.age)

    def _note_age(self, table: pa.Table) -> None:
        if self.age is None or self._age_column.kind == "text" or not table.num_rows:
            return
        number = next(n for n, column in enumerate(self.columns) if column.name == self.age)
        edges = pc.min_max(table.column(number))
        if edges["min"].is_valid:
            self._edges.append((edges["min"].as_py(), edges["max"].as_py()))

    def _write(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        if self._file is None:
            self._file = pq.ParquetWriter(
                pa.PythonFile(self.draft, mode="w"),
                self._schema,
                compression=COMPRESSION,
                version="2.6",
                write_page_checksum=True,
            )
        self._file.write_table(table, row_group_size=table.num_rows)


def schema(columns: Sequence[Column], about: dict[str, Any]) -> pa.Schema:
    """Return the schema of a file: exact types, and in its metadata the database's own."""
    kept = {"format": FORMAT, **about, "columns": [{"name": c.name, "type": c.type, "kind": c.kind} for c in columns]}
    fields = [pa.field(c.name, kept_type(c), metadata={b"database_type": c.type.encode()}) for c in columns]
    return pa.schema(fields, metadata={METADATA: json.dumps(kept, ensure_ascii=False, sort_keys=True).encode()})


def wire(file: IO[bytes], columns: Sequence[Column], *, as_text: bool = False) -> Iterator[Any]:
    """Yield the wire made from a file, in blocks (buffers) of whole rows.

    Parameters
    ----------
    as_text
        Not the wire, but the same rows with each value as SQL databases read it.
    """
    say = to_text if as_text else encode
    source = pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)
    names = [str(number) for number in range(len(columns))]
    options = csv.WriteOptions(include_header=False, quoting_style="all_valid")

    def said(batch: pa.RecordBatch) -> Any:
        arrays = [say(column, batch.column(number)) for number, column in enumerate(columns)]
        sink = pa.BufferOutputStream()
        csv.write_csv(pa.RecordBatch.from_arrays(arrays, names), sink, options)
        return sink.getvalue()

    pieces = source.iter_batches(batch_size=_piece_rows(source.metadata))
    yield from mapped(said, pieces, threads=THREADS, most=PIECES_AHEAD)


def _piece_rows(about: pq.FileMetaData) -> int:
    rows, size = int(about.num_rows), sum(int(about.row_group(n).total_byte_size) for n in range(about.num_row_groups))
    return max(min(PIECE_ROWS, PIECE_BYTES * rows // max(size, 1)), 1)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file that was read back holds.

    Attributes
    ----------
    sha256
        Of its bytes.
    digest
        Of the wire made from it.
    """

    rows: int
    bytes: int
    sha256: str
    digest: str


def examine(file: IO[bytes], columns: Sequence[Column]) -> Seen:
    """Read a whole file and return what it holds. Raises ``ValueError`` when it cannot be read."""
    size, digest = 0, hashlib.sha256()
    while piece := file.read(1 << 20):
        size += len(piece)
        digest.update(piece)
    file.seek(0)
    content = hashlib.sha256()
    try:
        rows = pq.ParquetFile(file).metadata.num_rows
        file.seek(0)
        for block in wire(file, columns):
            content.update(block)
    except (pa.ArrowException, OSError) as error:
        raise ValueError("the file cannot be read back: it is damaged") from error
    return Seen(rows=rows, bytes=size, sha256=digest.hexdigest(), digest=content.hexdigest())
