"""What the test of troubles is made of: what each must become, and how it is provoked on an engine's real server.

The ways lie beside the tests of the engine: ``tests/integration/<engine>/troubles.py`` offers ``WAYS``, one for each
name in `TROUBLES`, or the reason why the engine cannot have that trouble.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from tests.harness.contract import PLACES, Case, Place
from upkeep.jobs.contract import Work
from upkeep.run.runner import Runner


@dataclass(frozen=True)
class End:
    """What becomes of the action, and of the command."""

    status: str
    code: str
    exit_status: int


TROUBLES: Final[Mapping[str, End]] = {
    "altered": End("skipped", "state_changed", 3),
    "gone": End("skipped", "state_changed", 3),
    "locked": End("skipped", "lock_not_obtained", 3),
    "overloaded": End("skipped", "overloaded", 3),
    "connection killed": End("failed", "connection_lost", 3),
    "no privilege": End("failed", "error", 1),
    "no writes": End("failed", "error", 1),
    "not the same rows": End("failed", "conservation_violated", 1),
    "cancelled": End("failed", "cancelled", 130),
    "no way back": End("skipped", "not_supported", 0),
}
"""The table of docs/troubles.md, as far as it can be provoked on a server."""


@dataclass
class Scene:
    """An action that is about to be carried out, and all that is needed to hinder it."""

    place: Place
    work: Work[Any]
    runner: Runner
    patch: pytest.MonkeyPatch

    @property
    def db(self) -> Any:
        """The engine's own helper, with a connection that is not Upkeep's."""
        return self.place.db


@dataclass(frozen=True)
class Way:
    """How a trouble is provoked.

    Attributes
    ----------
    strike
        The trouble: a block around the carrying out of the action. What is to be put back, it puts back.
    make, policy
        The database and what is declared for it; ``limits: {share: 100 %}`` stands before.
    server
        Starts a server for this trouble alone; default: the session's.
    user
        Gives the address with which Upkeep logs in; default: the place's own.
    """

    strike: Callable[[Scene], AbstractContextManager[object]]
    make: Callable[[Any], None]
    policy: str
    server: Callable[[], AbstractContextManager[Any]] | None = None
    user: Callable[[Place], AbstractContextManager[str]] = field(default=lambda place: nullcontext(place.uri))

    @property
    def case(self) -> Case:
        right = f"limits: {{share: 100 %}}\n{self.policy}"
        return Case(self.make, right, "", frozenset(), frozenset(), datetime.now(UTC))


def ways(engine: str) -> Mapping[str, Way | str]:
    found: Mapping[str, Way | str] = importlib.import_module(f"tests.integration.{engine}.troubles").WAYS
    return found


def engines() -> list[str]:
    return [*PLACES]


def strike(do: Callable[[Scene], object]) -> Callable[[Scene], AbstractContextManager[object]]:
    """Return a block that begins with ``do`` and has nothing to put back."""

    @contextmanager
    def block(scene: Scene) -> Iterator[None]:
        do(scene)
        yield

    return block


def before(word: str, do: Callable[[Scene], object]) -> Callable[[Scene], AbstractContextManager[object]]:
    """Return a block in which ``do`` happens just before the session sends a statement that begins with ``word``."""

    def watch(scene: Scene) -> None:
        def trace(text: str) -> None:
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
            if "\n".join(lines).strip().startswith(word):
                do(scene)

        scene.work.session.trace = trace

    return strike(watch)


@contextmanager
def killed(scene: Scene) -> Iterator[None]:
    """The server dies, and comes back when the action has ended."""
    server = scene.place.db.server
    server.kill()
    yield
    server.start()


def cancel(scene: Scene) -> None:
    """Ask the run to stop, as Ctrl-C does."""
    scene.runner.cancel()
