"""What the parts of the ledger share: the control connection and the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from upkeep.ledger.control import Control, Row


class Part:
    """A part of the ledger.

    Parameters
    ----------
    control
        The open control connection.
    clock
        The present instant (with zone); default: the control database's own clock, so that all machines
        agree about ages.
    """

    def __init__(self, control: Control, clock: Callable[[], datetime] | None = None) -> None:
        self._control = control
        self._clock = clock

    def close(self) -> None:
        """Close the connection; never raises."""
        self._control.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fetch(self, name: str, **values: Any) -> list[Row]:
        """Read; ``now`` is there for every statement."""
        return self._control.fetch(name, now=self._now(), **values)

    def _write(self, name: str, **values: Any) -> list[Row]:
        """Write and commit; ``now`` is there for every statement."""
        return self._control.write(name, now=self._now(), **values)

    def _now(self) -> datetime | None:
        return self._clock() if self._clock is not None else None
