"""``backup:`` of a target: where its backups lie, how long they are kept, and how far they are proven."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from upkeep import settings
from upkeep.fleet.keys import TargetPolicy
from upkeep.fleet.tables import BackupRule
from upkeep.fleet.values import Length, Size, elapsed
from upkeep.model import ENGINES
from upkeep.model.intervals import Duration

EXTERNAL = "external"


_BACKUPS: Final = "${UPKEEP_BACKUPS}"
"""Stands for the directory that this environment variable names; the local stack has one of its own."""


def _place(value: Any) -> Any:
    return value.replace(_BACKUPS, str(settings.backups_dir()), 1) if isinstance(value, str) else value


class BackupPolicy(TargetPolicy):
    """What the owner wants of backups.

    Attributes
    ----------
    into
        The directory that gets them (``${UPKEEP_BACKUPS}``: that of the environment); ``None`` when somebody else
        takes them (``backup: external``).
    keep, at_least
        How long a backup is kept, and how many verified ones stay whatever their age.
    longest
        When a dump that is not over is cancelled (``max:``).
    verify
        Which ones are restored: ``auto`` (all while a restore takes two hours at most, else one a week), ``always``,
        ``weekly``, ``never``.
    compare
        So many bytes of tables a night are compared with the source at the snapshot, another part each night.
    last
        Whether a backup begins when the night's other jobs have ended at the target: for dumps that outlast its window,
        in which the others could else do nothing. What they delete is then covered by the backup of the night before.
    source
        ``replica_if_any``: from a replica where the engine can (``from:``); ``primary``.
    """

    into: Annotated[str, BeforeValidator(_place)] | None = None
    keep: Length = Duration.parse("30 days")
    at_least: Annotated[int, Field(ge=1)] = 3
    longest: Length = Field(Duration.parse("4 hours"), alias="max")
    verify: Literal["auto", "always", "weekly", "never"] = "auto"
    compare: Size = 10 * 1024**3
    last: bool = False
    source: Literal["replica_if_any", "primary"] = Field("replica_if_any", alias="from")

    @model_validator(mode="before")
    @classmethod
    def _in_a_word(cls, data: Any) -> Any:
        if data == EXTERNAL:
            return {}
        if isinstance(data, dict) and not data.get("into"):
            raise ValueError(
                "say where backups go: into: /srv/backups; or write backup: external when others take them"
            )
        return data

    @model_validator(mode="after")
    def _possible(self) -> BackupPolicy:
        if self.into is None:
            return self
        if "://" in self.into or not PurePosixPath(self.into).is_absolute():
            raise ValueError(
                f"into: '{self.into}' is no absolute directory of the worker; write e.g. /srv/backups (mount an object "
                "store, or copy the published directories there)"
            )
        if ".." in PurePosixPath(self.into).parts:
            raise ValueError(f"into: '{self.into}' leads upwards; write the directory itself")
        return self

    def suits(self, engine: str) -> None:
        """Raise `ValueError` where Upkeep cannot take backups."""
        if not self.external and "backups" not in ENGINES[engine].also:
            able = ", ".join(name for name, spec in ENGINES.items() if "backups" in spec.also)
            raise ValueError(f"backup: Upkeep takes backups of {able}, not of {engine} yet; write backup: external")
        asked = "source" in self.model_fields_set and self.source != "primary"
        if asked and "replicas" not in ENGINES[engine].also:
            able = ", ".join(name for name, spec in ENGINES.items() if "replicas" in spec.also)
            raise ValueError(
                f"backup: from: {self.source}: a replica is asked for backups on engine {able} only; leave from: out"
            )

    def agrees(self, target: Any) -> None:
        """Raise `ValueError` where a deletion requires what these backups can never be."""
        days = self.proven_every_days
        for name, rule in _requiring(target):
            if self.external:
                raise ValueError(
                    f"backup: external, but {name} requires a verified backup, and only Upkeep's own are known to be "
                    "one: nothing would ever go; write backup: {into: DIRECTORY}, or requires: approval"
                )
            if days is None:
                raise ValueError(
                    f"backup: verify: never, but {name} requires a verified backup: nothing would ever go; write "
                    "verify: auto, or requires: approval"
                )
            if elapsed(rule.backup) < timedelta(days=days):
                raise ValueError(
                    f"{name} requires a verified backup younger than {rule.backup}, and here one is verified every "
                    f"{days * 24} hours: write at least {days * 24 + 2} hours"
                )

    @classmethod
    def denied(cls, target: Any) -> None:
        """Raise `ValueError` where a deletion requires a backup, and the file says that there shall be none."""
        for name, _ in _requiring(target):
            raise ValueError(
                f"backup: false, but {name} requires a verified backup: nothing would ever go; write "
                "backup: {into: DIRECTORY}, or requires: approval"
            )

    @property
    def external(self) -> bool:
        """Whether somebody else takes the backups, which Upkeep knows nothing of."""
        return self.into is None

    @property
    def proven_every_days(self) -> int | None:
        """How many days lie between two verified backups at the most; ``None``: there are none."""
        return None if self.external or self.verify == "never" else 7 if self.verify == "weekly" else 1


def _requiring(target: Any) -> Iterator[tuple[str, BackupRule]]:
    """Yield the names of tables, collections and streams from which something goes only with a backup."""
    for section in target.sections.values():
        for name, policy in section.items():
            rule = getattr(getattr(policy, "retain", None), "requires", None)
            if isinstance(rule, BackupRule):
                yield name, rule


POLICY = BackupPolicy
