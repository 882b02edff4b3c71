"""What a person asks of one run of a job, besides targets, instant and mode."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict


class Request(BaseModel):
    """What a person asks of one run of a job: its fields are the job's parameters, this base has none.

    Fields are flat (str, int, bool, an enum, a list of str, or ``None``), each with a default that asks for nothing and
    a ``description``: options of the command line, the form in Airflow and the check of a run's conf are made of them
    (`upkeep.jobs.spec`). A request travels with the plan that was made for it: it is part of the plan's id, a plan
    supersedes only plans for the same request, and what was approved is planned again with its own.

    DAG files read requests: what is imported here is imported whenever a DAG file is read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def asked(self) -> dict[str, Any]:
        """Return what differs from asking for nothing, as JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)


NOTHING_ASKED: Final = Request()
"""What a nightly run asks."""
