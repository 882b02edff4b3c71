"""What is said of each table that retention takes care of. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from upkeep.fleet import Target
from upkeep.jobs.ttl_verification import overdue, retention
from upkeep.jobs.ttl_verification.overdue import Overdue
from upkeep.model import Finding, FindingStatus, Json, Observation, Plan, Request


def decide(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what is found."""
    found = [finding for row in observation.frames["counted"] for finding in _table(observation, target, row)]
    return Plan.make(observation, (), found)


def _table(observation: Observation, target: Target, row: Json) -> Iterator[Finding]:
    more = {"partitions": row["lately"], "rows_about": row["rows"]} if row["lately"] else {}
    if row["overdue"] and row["why"]:
        more["not_counted"] = row["why"]
    counted = (row["subject"], row["overdue"], row["tolerance"], row["why"], row["ids"], row["what"])
    found = Overdue(*counted, more=more, denied=row["denied"])
    frame, now = observation.frames["earlier"], observation.server.clock
    why = retention.reason(observation, target, row["subject"])
    for finding in overdue.findings(found, frame, now, retention.REMEDY):
        yield retention.excused(finding, why) if finding.status is FindingStatus.FINDING else finding
