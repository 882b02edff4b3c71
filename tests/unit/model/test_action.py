"""An action as JSON, and what its id is made of."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.harness import values
from upkeep.model import Action, Plan, TargetReport, TargetStatus

AT = datetime(2026, 11, 26, tzinfo=UTC)
SEEN = values.observation(
    target="shop", engine="postgres", job="data_retention", identity="i", version="15", at=AT, frames={}
)
PLAIN = Action.make(
    kind="drop_partition", subject="t", args={"oid": 1}, statements=("s",), reason="", destructive=True, precondition=""
)


def test_what_it_must_not_run_beside_is_no_part_of_what_it_is() -> None:
    held_back = Action.make(**PLAIN.model_dump(exclude={"id", "intent"}), not_during=("backup",))
    assert (held_back.id, held_back.intent) == (PLAIN.id, PLAIN.intent)
    assert Plan.make(SEEN, [held_back]).plan_id == Plan.make(SEEN, [PLAIN]).plan_id
    assert Action.model_validate_json(held_back.model_dump_json()) == held_back


def test_what_may_run_beside_everything_says_nothing_of_it() -> None:
    assert "not_during" not in PLAIN.model_dump()
    report = TargetReport(target="shop", engine="postgres", status=TargetStatus.PLANNED, actions=(PLAIN,))
    assert "not_during" not in report.document()["actions"][0]
    assert Action.model_validate_json(PLAIN.model_dump_json()) == PLAIN
