"""What members of a set tell that a set of two cannot show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from upkeep.jobs.health_check.documents import Told
from upkeep.mongo.health_check.measures import MEASURES

NOW = datetime(2024, 6, 1, tzinfo=UTC)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def member(name: str, state: int, *, behind: float = 0, **more: Any) -> dict[str, Any]:
    applied = NOW - timedelta(seconds=behind)
    return {"name": name, "state": state, "stateStr": str(state), "health": 1, "lastAppliedWallTime": applied, **more}


def told(*members: dict[str, Any], delays: dict[str, int] | None = None, measured: Any = None) -> Told:
    config = [{"host": m["name"], "secondaryDelaySecs": (delays or {}).get(m["name"], 0)} for m in members]
    documents = {"status": {"members": [*members], "term": 7}, "config": {"members": config}}
    return Told(documents, NOW.timestamp(), [{"measured": measured or {}}])


def states(seen: Told) -> dict[str, str]:
    return {row.subject: row.state for row in MEASURES["replica_state"][1](seen)}


def test_members_by_what_they_do() -> None:
    heard = NOW - timedelta(minutes=6)
    found = states(
        told(
            member("a", 1),
            member("arbiter", 7, lastAppliedWallTime=NEVER),
            member("copies", 5),
            member("rolls back", 9),
            member("down", 8, health=0, lastHeartbeatRecv=heard),
            member("just now", 8, health=0, lastHeartbeatRecv=NOW),
            member("never heard", 6, health=0, lastHeartbeatRecv=NEVER),
            member("remembered", 6, lastHeartbeatRecv=NOW),
            measured={"replica_state": {"remembered": {"down_since": heard.timestamp()}}},
        )
    )
    assert found == {
        "primary": "there",
        "a": "well",
        "arbiter": "well",
        "copies": "copying its data",
        "rolls back": "not caught up",
        "down": "down",
        "just now": "not reached just now",
        "never heard": "not reached just now",
        "remembered": "down",
    }


def test_lag_leaves_out_what_is_meant_and_what_is_noise() -> None:
    seen = told(
        member("a", 1),
        member("noise", 2, behind=10),
        member("late", 2, behind=12),
        member("meant", 2, behind=3600),
        member("arbiter", 7, lastAppliedWallTime=NEVER),
        member("copies", 5, behind=9999),
        delays={"meant": 3590},
    )
    found = {row.subject: row.value for row in MEASURES["replication_lag"][1](seen)}
    assert found == {"noise": 0, "late": 12, "meant": 0}
