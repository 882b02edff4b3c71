"""A file that is being written and that nobody sees yet; and what goes wrong with stores, in words."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import IO, Any, Final

from upkeep.errors import UpkeepError

PIECE: Final = 1 << 20
"""Bytes read or copied at a time."""


IN_MEMORY: Final = 32 << 20
"""A draft for an object store lies in memory up to here, then in a temporary file."""


DRAFT: Final = ".tmp"


OLD: Final = 86_400.0
"""Seconds after which a draft, whoever began it, is not written any more."""


_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(UpkeepError):
    """The location does not do what is needed; nothing was lost."""


class Draft:
    """A file that is being written and that nobody sees yet.

    Attributes
    ----------
    file
        Takes the bytes; sequential.
    size, sha256
        Of what was written; known after `complete`.
    """

    def __init__(self, file: IO[bytes], path: Path | None) -> None:
        self.file = file
        self.path = path
        self.size = 0
        self.closed = False
        self._hash = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Take bytes (also called by the writer of Parquet files, in a thread). Raises `StoreError`."""
        view = memoryview(data)
        self._hash.update(view)
        self.size += view.nbytes
        try:
            self.file.write(view)
        except OSError as error:
            raise StoreError(f"{self.path or 'a temporary file'}: {say(error)}") from error
        return view.nbytes

    def tell(self) -> int:
        """Return how much was written."""
        return self.size

    def flush(self) -> None:
        """Do nothing yet: durability comes with `Store.complete`."""

    def close(self) -> None:
        """Do nothing: the draft ends with its block."""

    @property
    def sha256(self) -> str:
        """Hex digest of all bytes written."""
        return self._hash.hexdigest()


def say(error: BaseException) -> str:
    """Return what went wrong and what to do, without addresses that may be signed."""
    if not isinstance(error, OSError):
        return f"the store failed ({type(error).__name__}): look at its own log, its credentials and its address"
    number = getattr(error, "errno", None)
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if number in _FULL:
        return f"{text}: the store is full; free space there or name another location"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{text}: give the account that runs Upkeep the right to write there"
    if isinstance(error, FileNotFoundError):
        return f"{text}: has the location been unmounted or removed?"
    return text
