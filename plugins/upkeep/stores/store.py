"""One location, opened: a local directory or whatever fsspec reaches.

A local file appears whole or not at all (temporary name, fsync, rename, fsync of the folder); an object store
shows an object only when it is complete. Every trouble is a `StoreError` that says what, where and what to do.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, cast

from fsspec import AbstractFileSystem

from upkeep.errors import UpkeepError
from upkeep.stores.draft import IN_MEMORY, PIECE, Draft, StoreError, say

MARK: Final = "_location.json"
"""Says, at the root of a location, which place this is: an unmounted disk leaves a folder without it."""


class Store:
    """Files below one location, by relative name; this class is for object stores.

    Attributes
    ----------
    location
        As the fleet file has it.
    sign
        Who writes, in the names of drafts: only drafts with the same sign, or old ones, may be removed.
    """

    def __init__(self, location: str, files: AbstractFileSystem | None, root: str) -> None:
        self.location = location
        self._files = files
        self._root = root.rstrip("/")
        self.sign = ""

    def step(self, what: str) -> None:
        """Be told of each operation before it happens; tests kill the job here."""

    @contextmanager
    def draft(self, folder: str, prefix: str) -> Iterator[Draft]:
        """Give a draft; removed at the end of the block unless published."""
        self.step("draft")
        with self._mended("a temporary file", foreign=False), tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            yield Draft(cast("IO[bytes]", file), None)

    def complete(self, draft: Draft) -> None:
        """See that what was written is durable (as a draft)."""

    def publish(self, draft: Draft, name: str) -> None:
        """Make the draft the file ``name``, which must not exist."""
        self.step("publish")
        with self._mended(name):
            if self._is_there(self._path(name)):
                raise StoreError(f"{self._path(name)} is there already; it is not overwritten")
            draft.file.seek(0)
            with self._fs.open(self._path(name), "wb") as out:
                shutil.copyfileobj(draft.file, out, PIECE)

    def put(self, name: str, data: bytes) -> None:
        """Write a small file, whole or not at all; an existing one is replaced."""
        self.step(f"put {name}")
        with self._mended(name):
            self._fs.pipe_file(self._path(name), data)

    def get(self, name: str) -> bytes:
        """Return a small file."""
        with self._mended(name):
            return cast("bytes", self._fs.cat_file(self._path(name)))

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file for reading at any place."""
        self.step("read")
        with self._mended(name, foreign=False), tempfile.SpooledTemporaryFile(IN_MEMORY) as local:
            with self._mended(name), self._fs.open(self._path(name), "rb") as file:
                shutil.copyfileobj(file, local, PIECE)
            local.seek(0)
            yield cast("IO[bytes]", local)

    def exists(self, name: str) -> bool:
        """Return whether the file is there."""
        with self._mended(name):
            return self._is_there(self._path(name))

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted; none when there is no such folder."""
        with self._mended(folder):
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(name for path in found if (name := str(path).rstrip("/").rsplit("/", 1)[-1]))

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens when it is gone."""
        self.step(f"remove {name}")
        with self._mended(name), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def is_left(self, name: str) -> bool:
        """Return whether nobody writes the draft any more; an object store shows none."""
        return False

    def prepare(self, known: str | None) -> None:
        """Create the location where it is missing, and mark it: once, at the beginning.

        Parameters
        ----------
        known
            The mark that lay there when rows last went into it: it must be there still. ``None``: never before.
        """
        if known is not None:
            self.require_mark(known)
            return
        self._create()
        if self.mark() is None:
            self.put_first(MARK, f'{{"location_id": "{secrets.token_hex(16)}"}}\n'.encode())

    def mark(self) -> str | None:
        """Return the mark of the location; ``None`` when it has none."""
        if not self.exists(MARK):
            return None
        try:
            return str(json.loads(self.get(MARK))["location_id"])
        except (ValueError, KeyError, TypeError):
            return None

    def require_mark(self, known: str | None) -> str:
        """Return the mark, which must be ``known`` (``None``: any)."""
        found = self.mark()
        if found is None or known not in (None, found):
            what = "another mark than before" if found else "no mark any more"
            raise StoreError(
                f"{self.location} is not the place that earlier rows were archived to: {MARK} there has {what}. Has "
                "the location been unmounted or removed? Mount it again; if the archive was moved, move it back with "
                f"its {MARK}; for a new archive name another location. No row was moved"
            )
        return found

    def _create(self) -> None:
        """Create the location; an object store needs none."""

    def put_first(self, name: str, data: bytes) -> None:
        """Write a small file unless somebody else just did; stores that cannot tell keep the last one."""
        self.step(f"put {name}")
        with self._mended(name):
            try:
                self._fs.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return
            except (TypeError, ValueError, NotImplementedError):  # it knows no such mode
                self._fs.pipe_file(self._path(name), data)

    def writable(self) -> bool | None:
        """Return whether files can be written; ``None`` when only trying tells."""
        with self._mended(""):
            self._is_there(self._root)
        return None

    def free_bytes(self) -> int | None:
        """Return how much room is left; ``None`` when nobody knows."""
        return None

    @property
    def _fs(self) -> Any:
        return self._files

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    def _is_there(self, path: str) -> bool:
        """Return whether it is there; a store that cannot say so is in trouble (`exists` would say no)."""
        self._fs.invalidate_cache()
        try:
            self._fs.info(path)
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def _mended(self, name: str, *, foreign: bool = True) -> Iterator[None]:
        """Turn the trouble of a store into a `StoreError`; with ``foreign`` also exceptions that are its own kind."""
        try:
            yield
        except UpkeepError:
            raise
        except OSError as error:
            raise StoreError(f"{self._path(name)}: {say(error)}") from error
        except Exception as error:
            if not foreign:
                raise
            raise StoreError(f"{self._path(name)}: {say(error)}") from None  # its text may hold a signed address
