"""The files of one table at one location, with what is known of each.

The order of writing makes every kill harmless: the manifest among the undecided first, then the file, then
the end of the transaction, then the manifest among the final ones. So whatever lies there has a manifest, and
whatever is undecided names the transaction that decides.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final, TypeVar
from urllib.parse import unquote

from upkeep.fleet.location import folder
from upkeep.stores.columns import Column
from upkeep.stores.draft import DRAFT, Draft, StoreError
from upkeep.stores.manifest import MANIFESTS, RESTORED, UNDECIDED, Manifest, Mark, Note
from upkeep.stores.opening import open_store
from upkeep.stores.store import Store

if TYPE_CHECKING:
    from upkeep.stores.parquet import Seen  # loads Arrow, which is an extra

N = TypeVar("N", bound="Note")
FILE: Final = ".parquet"
_NOTE: Final = ".json"
_MARK: Final = ".restored.json"
OWNER: Final = "_owner.json"
"""Says, in the folder of a table, which physical database's rows these are: two tables of one name never mix."""


def tables(store: Store) -> Iterator[tuple[str, str]]:
    """Yield schema and name of every table that has a folder at a location."""
    for schema in _folders(store, ""):
        for name in _folders(store, schema):
            yield unquote(schema), unquote(name)


def _folders(store: Store, folder: str) -> list[str]:
    return [name for name in store.names(folder) if "." not in name]  # no folder of ours has a dot


@dataclass
class Shelf:
    """The archive of one table.

    Attributes
    ----------
    identity
        The physical database that works with it: only its files are touched.
    instance
        Which server that is, where several copies have the same identity: only its drafts are touched.
    """

    store: Store
    schema: str
    name: str
    identity: str
    instance: str
    _own: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the folder and the sign of our database."""
        self._folder = folder(self.schema, self.name)
        self._own = _sign(self.identity)
        self.store.sign = _sign(self.instance)

    @classmethod
    def open(cls, location: str, schema: str, name: str, identity: str, instance: str) -> Shelf:
        """Open it. Raises as `open_store` does."""
        return cls(open_store(location), schema, name, identity, instance)

    # -- whose it is ----------------------------------------------------------------------------------

    def claim(self) -> None:
        """Make the table's folder ours, once. Raises `StoreError` when it is another database's."""
        self.require_ours()
        path = f"{self._folder}/{OWNER}"
        if not self.store.exists(path) or not self.store.get(path):
            text = json.dumps({"identity": self.identity, "schema": self.schema, "table": self.name}, indent=1)
            self.store.put_first(path, f"{text}\n".encode())
            self.require_ours()

    def require_ours(self) -> None:
        """Raise `StoreError` when the table's folder is another database's."""
        problem = self.foreign()
        if problem is not None:
            raise StoreError(problem)

    def foreign(self) -> str | None:
        """Return why the table's folder is not for us, with the remedy; ``None`` when it is ours or nobody's."""
        owner = self._owner()
        if owner in (None, self.identity):
            return None
        return (
            f"{self.directory} holds the rows of {owner}: two databases must not mix theirs. Name a location of its "
            f"own in retain.into. If that is this database of before an upgrade or a move, write "
            f'{{"identity": "{self.identity}"}} into {OWNER} there; its older files stay, and restore-archive brings '
            "them back with --identity. No row was moved"
        )

    def _owner(self) -> str | None:
        path = f"{self._folder}/{OWNER}"
        if self.store.exists(path):
            try:
                return str(json.loads(self.store.get(path) or "{}").get("identity") or "") or None
            except (ValueError, AttributeError):
                return f"a database that its {OWNER} does not name legibly"
        folders = (f"{self._folder}/{MANIFESTS}", f"{self._folder}/{UNDECIDED}")
        notes = [n for one in folders for n in self.store.names(one) if n.endswith(_NOTE) and n[0] != "."]
        notes = [n for n in notes if not n.endswith(_MARK)]
        return None if not notes or any(map(self._is_ours, notes)) else "another database"

    # -- writing --------------------------------------------------------------------------------------

    def draft(self) -> AbstractContextManager[Draft]:
        """Give a draft of a file."""
        return self.store.draft(f"{self._folder}/{UNDECIDED}", f"{self._own}-")

    def new_name(self, transaction: str) -> str:
        """Return a name for the file of a transaction, never used before."""
        return f"part-{self._own}-{transaction.zfill(20)}-{secrets.token_hex(4)}"

    def announce(self, note: Manifest | Mark) -> None:
        """Write down, before the transaction ends, what it decides."""
        self.store.put(self._undecided(note), note.text())

    def publish(self, draft: Draft, manifest: Manifest) -> None:
        """Give the file its name."""
        self.store.publish(draft, self._file(manifest.file))

    def examine(self, manifest: Manifest, columns: list[Column]) -> Seen:
        """Read the file back from the store. Raises ``ValueError`` when it is damaged."""
        from upkeep.stores import parquet  # noqa: PLC0415 - loads Arrow: 60 MB

        with self.store.open(self._file(manifest.file)) as file:
            return parquet.examine(file, columns)

    def decide(self, note: Manifest | Mark) -> None:
        """Make it count: its transaction was committed."""
        self.store.put(self._final(note), note.text())
        self.store.remove(self._undecided(note))

    def withdraw(self, note: Manifest | Mark) -> None:
        """Take it back, and its file too: its transaction was rolled back. The note goes last: it can be repeated."""
        if isinstance(note, Manifest):
            self.store.remove(self._file(note.file))
        self.store.remove(self._undecided(note))

    # -- reading --------------------------------------------------------------------------------------

    def has_undecided(self) -> bool:
        """Return whether an earlier run left something whose end is not known."""
        return any(True for _ in self._left())

    def undecided(self) -> Iterator[Manifest | Mark]:
        """Yield what earlier runs left undecided; drafts of killed ones are removed. Call it under the lease only."""
        for name in self._left():
            path = f"{self._folder}/{UNDECIDED}/{name}"
            if name.endswith(DRAFT):
                self.store.remove(path)
            elif name.endswith(_MARK):
                yield self._read(Mark, path)
            elif name.endswith(_NOTE):
                yield self._read(Manifest, path)

    def _left(self) -> Iterator[str]:
        """Yield names of what an earlier run of our database left; drafts only where nobody writes them any more."""
        for name in self.store.names(f"{self._folder}/{UNDECIDED}"):
            left = not name.endswith(DRAFT) or self.store.is_left(f"{self._folder}/{UNDECIDED}/{name}")
            if left and self._is_ours(name):
                yield name

    def left(self) -> list[str]:
        """Return the names of our undecided notes; changes nothing."""
        return [name for name in self._left() if name.endswith(_NOTE)]

    def newest(self) -> Manifest | None:
        """Return the last of our files that count."""
        names = self.store.names(f"{self._folder}/{MANIFESTS}")
        ours = [n for n in names if n.endswith(_NOTE) and n[0] != "." and self._is_ours(n)]
        return self._read(Manifest, f"{self._folder}/{MANIFESTS}/{ours[-1]}") if ours else None

    def pending(self) -> list[Manifest]:
        """Return the files that are not decided yet, of all databases; changes nothing."""
        folder = f"{self._folder}/{UNDECIDED}"
        names = [n for n in self.store.names(folder) if n.endswith(_NOTE) and not n.endswith(_MARK) and n[0] != "."]
        return [self._read(Manifest, f"{folder}/{name}") for name in names]

    def counts(self, note: Manifest | Mark) -> bool:
        """Return whether it is decided: a file counts (its rows are gone from the table), rows were restored."""
        return self.store.exists(self._final(note))

    def manifests(self) -> list[Manifest]:
        """Return the files that count, of all databases, oldest first."""
        names = [n for n in self.store.names(f"{self._folder}/{MANIFESTS}") if n.endswith(_NOTE) and n[0] != "."]
        return [self._read(Manifest, f"{self._folder}/{MANIFESTS}/{name}") for name in names]

    def marks(self) -> list[Mark]:
        """Return what was restored."""
        names = [n for n in self.store.names(f"{self._folder}/{RESTORED}") if n.endswith(_MARK) and n[0] != "."]
        return [self._read(Mark, f"{self._folder}/{RESTORED}/{name}") for name in names]

    @contextlib.contextmanager
    def reading(self, manifest: Manifest) -> Iterator[IO[bytes]]:
        """Open a file for reading."""
        with self.store.open(self._file(manifest.file)) as file:
            yield file

    def has_file(self, manifest: Manifest) -> bool:
        """Return whether the file is there."""
        return self.store.exists(self._file(manifest.file))

    def place(self, manifest: Manifest) -> str:
        """Return where a file lies, for people."""
        return f"{self.store.location.rstrip('/')}/{self._file(manifest.file)}"

    @property
    def directory(self) -> str:
        """Where the table's files lie, for people."""
        return f"{self.store.location.rstrip('/')}/{self._folder}"

    def _read(self, kind: type[N], path: str) -> N:
        try:
            return kind.read(self.store.get(path))
        except ValueError as error:
            raise StoreError(f"{self.store.location}: {path}: {error}; look at it by hand") from error

    def _is_ours(self, name: str) -> bool:
        if _MARK in name:
            return f".{self._own}-" in name
        return name.lstrip(".").removeprefix("part-").startswith(f"{self._own}-")

    def _file(self, file: str) -> str:
        return f"{self._folder}/{file}{FILE}"

    def _undecided(self, note: Note) -> str:
        return f"{self._folder}/{UNDECIDED}/{_name(note)}"

    def _final(self, note: Note) -> str:
        return f"{self._folder}/{RESTORED if isinstance(note, Mark) else MANIFESTS}/{_name(note)}"


def _name(note: Note) -> str:
    if isinstance(note, Mark):
        return f"{note.file}.{_sign(note.identity)}-{note.transaction}{_MARK}"
    return f"{note.file}{_NOTE}"


def _sign(identity: str) -> str:
    """Return the sign of a physical database in the names of its files."""
    return hashlib.sha256(identity.encode()).hexdigest()[:8]
