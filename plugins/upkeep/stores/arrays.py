"""How a column travels and how it is kept: the wire's text, Arrow's type, and back again, without loss.

On the wire each row is a line of CSV in which every value is quoted and only NULL is not. What has digits
travels as digits; what a text could round or print in several ways travels as the hex digits of its bits
(big-endian; dates and times count from 2000-01-01). So the bytes that a server sent can be made again,
each of them, from a file that is read back: that is how a file is proven.
"""

from __future__ import annotations

from binascii import hexlify, unhexlify
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from upkeep.stores.columns import Column, UnsayableError

DAYS_TO_2000: Final = 10_957
MICROSECONDS_TO_2000: Final = DAYS_TO_2000 * 86_400_000_000
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31, in days from 1970: what readers of Parquet can say."""
_FIRST_MICROSECOND: Final = _FIRST_DAY * 86_400_000_000
_LAST_MICROSECOND: Final = (_LAST_DAY + 1) * 86_400_000_000 - 1
_DAY: Final = 86_400_000_000
_SMALL_DECIMAL: Final = 38

_DIRECT: Final = {"int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64(), "uint32": pa.uint32()}
_FIXED: Final = {
    "float32": (pa.float32(), ">f4"),
    "float64": (pa.float64(), ">f8"),
    "date": (pa.date32(), ">i4"),
    "timestamp": (pa.timestamp("us"), ">i8"),
    "timestamptz": (pa.timestamp("us", "UTC"), ">i8"),
    "time": (pa.time64("us"), ">i8"),
}
_SHIFT: Final = {"date": DAYS_TO_2000, "timestamp": MICROSECONDS_TO_2000, "timestamptz": MICROSECONDS_TO_2000}
_LIMITS: Final = {
    "date": (_FIRST_DAY, _LAST_DAY),
    "timestamp": (_FIRST_MICROSECOND, _LAST_MICROSECOND),
    "timestamptz": (_FIRST_MICROSECOND, _LAST_MICROSECOND),
    "time": (0, _DAY - 1),
}


def kept_type(column: Column) -> pa.DataType:
    """Return the Arrow (and so the Parquet) type."""
    if column.decimal:
        return _decimal(*column.decimal)
    others = {"bool": pa.bool_(), "uuid": pa.uuid(), "binary": pa.binary(), "text": pa.string()}
    return _DIRECT.get(column.kind) or (_FIXED[column.kind][0] if column.kind in _FIXED else others[column.kind])


def wire_type(column: Column) -> pa.DataType:
    """Return what the CSV reader makes of the wire's text."""
    if column.decimal and column.decimal[0] <= _SMALL_DECIMAL:
        return pa.decimal128(column.decimal[0], 0)
    return pa.bool_() if column.kind == "bool" else _DIRECT.get(column.kind, pa.string())


def decode(column: Column, wire: pa.Array) -> pa.Array:
    """Return what is kept of what travelled. Raises `UnsayableError`."""
    if column.kind in _FIXED:
        return _numbers(column, wire)
    if column.kind == "uuid":
        bits = _bits(wire, 16)
        return pa.ExtensionArray.from_storage(pa.uuid(), _fixed(bits, wire, pa.binary(16)))
    if column.kind == "binary":
        return _unhex(wire)
    if column.decimal:
        digits, scale = column.decimal
        if digits > _SMALL_DECIMAL:
            try:
                wire = wire.cast(pa.decimal256(digits, 0))
            except pa.ArrowInvalid as error:
                raise UnsayableError(column.name) from error
        return pa.Array.from_buffers(_decimal(digits, scale), len(wire), _plain(wire).buffers())
    return wire


def encode(column: Column, kept: pa.Array) -> pa.Array:
    """Return the wire's text of what is kept: the inverse of `decode`."""
    if column.kind in _FIXED:
        arrow, wire_type = _FIXED[column.kind]
        native = np.dtype(wire_type).newbyteorder("=")
        valid = kept.drop_null()
        integers = pa.Array.from_buffers(_storage(arrow), len(valid), _plain(valid).buffers())
        values = integers.to_numpy(zero_copy_only=False).astype(native)
        values = values - _SHIFT.get(column.kind, 0) if column.kind in _SHIFT else values
        return _hex(values.astype(wire_type).tobytes(), np.dtype(wire_type).itemsize, kept)
    if column.kind == "uuid":
        storage = kept.storage if isinstance(kept, pa.ExtensionArray) else kept
        return _hex(b"".join(storage.drop_null().to_pylist()), 16, kept)
    if column.kind == "binary":
        return _hex_of_binary(kept)
    if column.decimal:
        digits, _ = column.decimal
        kept = pa.Array.from_buffers(_decimal(digits, 0), len(kept), _plain(kept).buffers())
    return kept.cast(pa.string())


def to_text(column: Column, kept: pa.Array) -> pa.Array:
    r"""Return what is kept as SQL databases read it: ISO 8601, plain numbers, ``\x`` and hex digits."""
    if column.kind == "binary":
        return pc.binary_join_element_wise("\\x", _hex_of_binary(kept), "")
    if column.kind == "uuid":
        return encode(column, kept)
    return kept.cast(pa.string())


def _decimal(digits: int, scale: int) -> pa.DataType:
    return pa.decimal128(digits, scale) if digits <= _SMALL_DECIMAL else pa.decimal256(digits, scale)


def _storage(arrow: pa.DataType) -> pa.DataType:
    if pa.types.is_floating(arrow):
        return arrow
    return pa.int32() if arrow == pa.date32() else pa.int64()


def _plain(array: pa.Array) -> pa.Array:
    """Return the array with its values from the first place of its buffers on."""
    return array if array.offset == 0 else pa.concat_arrays([array])


def _numbers(column: Column, wire: pa.Array) -> pa.Array:
    arrow, wire_type = _FIXED[column.kind]
    values = np.frombuffer(_bits(wire, np.dtype(wire_type).itemsize), dtype=wire_type)
    values = values.astype(values.dtype.newbyteorder("="))
    if column.kind in _LIMITS and len(values):
        lowest, highest = int(values.min()), int(values.max())
        shift, (first, last) = _SHIFT.get(column.kind, 0), _LIMITS[column.kind]
        if lowest + shift < first or highest + shift > last:
            raise UnsayableError(column.name)
        values = values + values.dtype.type(shift)
    array = pa.array(_spread(values, wire), type=_storage(arrow), mask=_nulls(wire))
    return pa.Array.from_buffers(arrow, len(array), _plain(array).buffers())


def _nulls(wire: pa.Array) -> Any:
    return wire.is_null().to_numpy(zero_copy_only=False) if wire.null_count else None


def _spread(values: Any, wire: pa.Array) -> Any:
    """Return the values with a place for each NULL."""
    if not wire.null_count:
        return values
    spread = np.zeros(len(wire), dtype=values.dtype)
    spread[~_nulls(wire)] = values
    return spread


def _bits(wire: pa.Array, size: int) -> bytes:
    """Return what the hex digits of all values say, one after the other."""
    bits = unhexlify(_characters(wire))
    if len(bits) != size * (len(wire) - wire.null_count):
        raise ValueError("the wire does not carry what was agreed")
    return bits


def _characters(array: pa.Array) -> memoryview:
    """Return the characters of all values of a text or binary array, one after the other."""
    _, offsets, data = array.buffers()
    if data is None or offsets is None or not len(array):
        return memoryview(b"")
    places = np.frombuffer(offsets, dtype=np.int32)
    return memoryview(data)[places[array.offset] : places[array.offset + len(array)]]


def _offsets(array: pa.Array) -> Any:
    _, offsets, _ = array.buffers()
    if offsets is None:
        return np.zeros(1, dtype=np.int32)
    places = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    return places - places[0]


def _validity(array: pa.Array) -> pa.Buffer | None:
    return pa.array(array.is_valid(), type=pa.bool_()).buffers()[1] if array.null_count else None


def _unhex(wire: pa.Array) -> pa.Array:
    data, offsets = unhexlify(_characters(wire)), (_offsets(wire) // 2).astype(np.int32)
    return pa.Array.from_buffers(
        pa.binary(), len(wire), [_validity(wire), pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    )


def _hex_of_binary(kept: pa.Array) -> pa.Array:
    data, offsets = hexlify(_characters(kept)), (_offsets(kept) * 2).astype(np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(kept), [_validity(kept), pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    )


def _hex(bits: bytes, size: int, like: pa.Array) -> pa.Array:
    """Return a text array of the hex digits of values of equal size, NULL where ``like`` is."""
    lengths = np.full(len(like), 2 * size, dtype=np.int32)
    if like.null_count:
        lengths[_nulls(like)] = 0
    offsets = np.zeros(len(like) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.Array.from_buffers(
        pa.string(), len(like), [_validity(like), pa.py_buffer(offsets.tobytes()), pa.py_buffer(hexlify(bits))]
    )


def _fixed(bits: bytes, wire: pa.Array, arrow: pa.DataType) -> pa.Array:
    width = arrow.byte_width
    if wire.null_count:
        values = np.frombuffer(bits, dtype=f"V{width}")
        spread = np.zeros(len(wire), dtype=f"V{width}")
        spread[~_nulls(wire)] = values
        bits = spread.tobytes()
    return pa.Array.from_buffers(arrow, len(wire), [_validity(wire), pa.py_buffer(bits)])
