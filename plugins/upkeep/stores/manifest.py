"""What is known of each archive file: one small JSON object beside it, under the file's name.

Before its transaction ends a file's manifest lies in ``_undecided/``: it names the transaction, so that the
next run can ask the server what became of it. Then it lies in ``_manifests/``: the file counts. A restore
leaves its marks in ``_restored/``, undecided ones in ``_undecided/`` as well. Readers of Parquet folders leave
out names that begin with an underscore.
"""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from upkeep.stores.columns import FORMAT, Column

MANIFESTS: Final = "_manifests"
UNDECIDED: Final = "_undecided"
RESTORED: Final = "_restored"


class Note(BaseModel):
    """What manifests and marks have in common: JSON in and out, and the transaction that decides.

    Attributes
    ----------
    identity
        The physical database.
    transaction
        Id of its transaction that removed (or restored) the rows.
    timeline, place, started
        Whose history that id belongs to: the server's timeline, its WAL position then, and when it was started.
        ``None`` in notes of before they were written: nobody can ask for such a transaction.
    witness
        ``id:1`` or ``id:0`` for each of some small transactions that were committed or rolled back just before, by
        lot: a server that was started again since can prove by them that it is the same one. ``None``: it cannot.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = FORMAT
    file: str
    table: str
    identity: str
    transaction: str
    rows: int
    action_id: str
    written_at: str
    timeline: str | None = None
    place: str | None = None
    started: str | None = None
    witness: str | None = Field(default=None, pattern=r"^[0-9]+:[01]( [0-9]+:[01])*$")

    def text(self) -> bytes:
        """Return it as JSON."""
        return (self.model_dump_json(indent=1) + "\n").encode()

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Read it. Raises ``ValueError`` when it is none of ours."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise ValueError("it is no manifest of Upkeep, or it is damaged") from error


class Manifest(Note):
    """What is known of one file.

    Attributes
    ----------
    bytes, sha256
        Of the file.
    content_sha256
        Of its rows as the server sent them.
    age, lowest, highest
        The age column, and the range of its values in the file; ``None`` where nobody can say.
    cut_off
        Rows before it were due.
    """

    bytes: int
    sha256: str
    content_sha256: str
    columns: tuple[dict[str, Any], ...]
    age: str
    age_type: str
    lowest: str | None
    highest: str | None
    cut_off: str

    @property
    def kept(self) -> list[Column]:
        """The file's columns."""
        return [Column(**column) for column in self.columns]


class Mark(Note):
    """That rows of a file were restored.

    Attributes
    ----------
    into, into_oid
        The table that has them now; one of the same name made anew has another oid.
    since, until
        The range of ages: ``since`` inside, ``until`` outside; ``None``: no end there.
    """

    into: str
    into_oid: int | None = None
    since: str | None
    until: str | None
