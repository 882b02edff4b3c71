"""One location, opened: a local directory or whatever fsspec reaches.

A local file appears whole or not at all (temporary name, fsync, rename, fsync of the folder); an object store
shows an object only when it is complete. Every trouble is a `StoreError` that says what, where and what to do.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, Final, TypeAlias, cast

from fsspec import AbstractFileSystem

from upkeep.errors import ConfigurationError, UpkeepError
from upkeep.fleet.location import connection_of, problem

Opener: TypeAlias = "Callable[[str], tuple[AbstractFileSystem, str]]"
"""Opens a URL: the file system, and the path in it."""

PIECE: Final = 1 << 20
"""Bytes read or copied at a time."""
IN_MEMORY: Final = 32 << 20
"""A draft for an object store lies in memory up to here, then in a temporary file."""
DRAFT: Final = ".tmp"
MARK: Final = "_location.json"
"""Says, at the root of a location, which place this is: an unmounted disk leaves a folder without it."""
OLD: Final = 86_400.0
"""Seconds after which a draft, whoever began it, is not written any more."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(UpkeepError):
    """The location does not do what is needed; nothing was lost."""


def _by_fsspec(url: str) -> tuple[AbstractFileSystem, str]:
    import fsspec  # noqa: PLC0415 - only locations need it

    if connection_of(url):
        raise ConfigurationError(
            f"{url}: Airflow connections of object stores are known inside Airflow only; run it there, or write the "
            "URL without the connection and give its credentials as the store's own environment variables"
        )
    return cast("tuple[AbstractFileSystem, str]", fsspec.core.url_to_fs(url))


opener: ContextVar[Opener] = ContextVar("opener", default=_by_fsspec)
"""How URLs are opened; inside Airflow `upkeep.airflow.stores` puts one here that knows its connections."""


def open_store(location: str) -> Store:
    """Open a location.

    Raises
    ------
    ConfigurationError
        It may not be written so, or its kind of store is not installed.
    StoreError
        It cannot be reached.
    """
    wrong = problem(location)
    if wrong:
        raise ConfigurationError(wrong)
    if location.startswith(("/", "file:///")):
        return LocalStore(location, Path(location.removeprefix("file://")))
    try:
        return Store(location, *opener.get()(location))
    except UpkeepError:
        raise
    except (ImportError, ValueError) as error:
        raise ConfigurationError(f"{location}: cannot be opened: {error}") from error
    except Exception as error:  # noqa: BLE001 - every store has exceptions of its own
        raise StoreError(f"{location}: cannot be opened: {_say(error)}") from None


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
            raise StoreError(f"{self.path or 'a temporary file'}: {_say(error)}") from error
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
            raise StoreError(f"{self._path(name)}: {_say(error)}") from error
        except Exception as error:
            if not foreign:
                raise
            raise StoreError(f"{self._path(name)}: {_say(error)}") from None  # its text may hold a signed address


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


def _say(error: BaseException) -> str:
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
