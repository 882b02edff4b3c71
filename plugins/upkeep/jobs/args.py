"""What an action's ``args`` hold, as typed values: the plan makes them, and who carries the action out reads them once.

In between they are JSON, of which the action's id is made: a field is never renamed, and one that comes later has a
default and is left out where it says nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BeforeValidator, PlainSerializer, ValidationError

from upkeep.jobs.errors import StateChangedError
from upkeep.model import Action, Json, Value


def _read(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


Instant: TypeAlias = Annotated[
    datetime, BeforeValidator(_read), PlainSerializer(lambda moment: moment.isoformat(), return_type=str)
]
"""A moment, in JSON as `datetime.isoformat` writes it."""


class Args(Value):
    """The args of one kind of action."""

    @classmethod
    def of(cls, action: Action) -> Self:
        """Return what an action holds. Raises `StateChangedError` when another release of Upkeep planned it."""
        try:
            return cls.model_validate(action.args)
        except ValidationError as error:
            known = ", ".join(sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]}))
            raise StateChangedError(
                f"another release of Upkeep planned it, with other values ({known}): plan again"
            ) from None

    def written(self) -> Json:
        """Return them as JSON, without what was not said."""
        return self.model_dump(mode="json", exclude_unset=True)
