"""What an owner may want for a Redis stream: how long its entries stay."""

from __future__ import annotations

from pydantic import model_validator

from upkeep.fleet.tables import RetainPolicy
from upkeep.fleet.values import ObjectPolicy

_MEANINGLESS = {
    "by": "an entry's id tells its age",
    "unit": "ids count milliseconds",
    "precision": "exactly the due entries go",
    "grace": "entries are deleted at once",
    "cascades": "Redis knows none",
}


class StreamPolicy(ObjectPolicy):
    """What the owner wants for one stream (or for every stream that a pattern names).

    Attributes
    ----------
    retain
        How long entries stay.
    """

    retain: RetainPolicy

    @model_validator(mode="after")
    def _possible(self) -> StreamPolicy:
        for key, why in _MEANINGLESS.items():
            if key in self.retain.model_fields_set:
                message = f"retain: {key}: {why}; leave it out"
                raise ValueError(message)
        if self.retain.then != "delete":
            message = (
                "retain: then: entries of a stream are only deleted: a copy in the same memory is no archive; write "
                "then: delete, and have a consumer group keep elsewhere what must stay (what it has not "
                "acknowledged is never deleted)"
            )
            raise ValueError(message)
        return self
