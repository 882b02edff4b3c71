"""A local directory: a file appears whole or not at all (temporary name, fsync, rename, fsync of the folder)."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from upkeep.stores.draft import DRAFT, OLD, PIECE, Draft, StoreError
from upkeep.stores.store import Store


class LocalStore(Store):
    """Files below a local directory."""

    def __init__(self, location: str, root: Path) -> None:
        super().__init__(location, None, str(root))
        self._folder = root

    @contextmanager
    def draft(self, folder: str, prefix: str) -> Iterator[Draft]:
        """Give a draft beside the files; removed at the end of the block unless published."""
        self.step("draft")
        path = self._folder / folder / f"{prefix}{secrets.token_hex(8)}.{self.sign}{DRAFT}"
        with self._mended(folder):
            self._make(path.parent)
            file = path.open("xb", buffering=PIECE)
        draft = Draft(file, path)
        try:
            yield draft
        finally:
            with contextlib.suppress(OSError):
                file.close()
            with contextlib.suppress(OSError):
                path.unlink()  # renamed when published

    def complete(self, draft: Draft) -> None:
        """Write the draft through to the disk."""
        self.step("fsync")
        with self._mended(str(draft.path)):
            draft.file.flush()
            os.fsync(draft.file.fileno())
            draft.file.close()

    def publish(self, draft: Draft, name: str) -> None:
        """Rename the draft; an existing file is never overwritten."""
        path = self._folder / name
        with self._mended(name):
            self._make(path.parent)
            self.step("rename")
            if path.exists():
                raise StoreError(f"{path} is there already; it is not overwritten")
            cast("Path", draft.path).rename(path)
            self._sync(path.parent)

    def put(self, name: str, data: bytes) -> None:
        """Write a small file under a temporary name, fsync, rename."""
        path = self._folder / name
        draft = path.with_name(f".{path.name}.{self.sign}{DRAFT}")
        with self._mended(name):
            self._make(path.parent)
            self.step(f"put {name}")
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self.step(f"rename {name}")
            draft.replace(path)
            self._sync(path.parent)

    def get(self, name: str) -> bytes:
        """Return a small file."""
        with self._mended(name):
            return (self._folder / name).read_bytes()

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file for reading at any place."""
        self.step("read")
        with self._mended(name):
            file = (self._folder / name).open("rb")
        with file:
            yield file

    def exists(self, name: str) -> bool:
        """Return whether the file is there."""
        with self._mended(name):
            return (self._folder / name).exists()

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted; none when there is no such folder."""
        with self._mended(folder):
            try:
                return sorted(path.name for path in (self._folder / folder).iterdir())
            except FileNotFoundError:
                return []

    def remove(self, name: str) -> None:
        """Remove a file, durably; nothing happens when it is gone."""
        self.step(f"remove {name}")
        path = self._folder / name
        with self._mended(name), contextlib.suppress(FileNotFoundError):
            path.unlink()
            self._sync(path.parent)

    def is_left(self, name: str) -> bool:
        """Return whether nobody writes the draft any more: it has our sign, or it is older than a day."""
        if self.sign and name.endswith(f".{self.sign}{DRAFT}"):
            return True
        try:
            return (self._folder / name).stat().st_mtime < time.time() - OLD
        except OSError:
            return False

    def put_first(self, name: str, data: bytes) -> None:
        """Write a small file unless somebody else just did."""
        path = self._folder / name
        with self._mended(name):
            self._make(path.parent)
            if path.exists() and not path.read_bytes():  # a kill left it empty
                path.unlink()
            self.step(f"put {name}")
            with contextlib.suppress(FileExistsError), path.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._sync(path.parent)

    def _create(self) -> None:
        self.step("prepare")
        with self._mended(""):
            for folder in reversed((self._folder, *self._folder.parents)):
                self._make(folder, below=False)

    def writable(self) -> bool | None:
        """Return whether files can be written there (the directory, or the nearest that exists above it)."""
        nearest = self._nearest()
        return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)

    def free_bytes(self) -> int | None:
        """Return how much room is left on the disk for us."""
        with self._mended(""):
            about = os.statvfs(self._nearest())
        return about.f_bavail * about.f_frsize

    def _nearest(self) -> Path:
        return next(path for path in (self._folder, *self._folder.parents) if _is_there(path))

    def _make(self, folder: Path, *, below: bool = True) -> None:
        """Create a folder below the location (never the location itself), and make its name durable."""
        if folder.is_dir():
            return
        if below and folder != self._folder:
            self._make(folder.parent)
        if below and folder == self._folder:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        folder.mkdir(exist_ok=True)
        self._sync(folder.parent)

    def _sync(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # below a folder that we may not enter
        return False
