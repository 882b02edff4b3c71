"""A plan supersedes only plans for the same request, and what was approved is planned again with its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.harness import values
from upkeep.errors import ApprovalRefusedError
from upkeep.ledger import Ledger
from upkeep.model import Action, Plan, Request, Requirement

AT = datetime(2026, 11, 26, tzinfo=UTC)
JOB = "data_retention"


class Some(Request):
    """As a job may have it."""

    index: str | None = None


def planned(ledger: Ledger, request: Some, rows: int = 1) -> Plan:
    asked = {"request": request.asked()} if request.asked() else {}
    run_id = ledger.start_run(JOB, AT, trigger="cli", actor="ada", options=asked)
    ledger.start_target(run_id, "shop", "postgres")
    action = Action.make(
        kind="reindex",
        subject="public.a",
        args={},
        statements=(),
        reason="bloated",
        destructive=True,
        precondition="there",
        rows=rows,
        requires=Requirement(kind="approval"),
    )
    seen = values.observation(
        target="shop", engine="postgres", job=JOB, identity="postgres:1:2", version="15", at=AT, frames={}
    )
    plan = Plan.make(seen, [action]).asked(request)
    ledger.save_plan(run_id, plan)
    return plan


def test_a_plan_supersedes_only_plans_for_the_same_request(ledger: Ledger) -> None:
    nightly = planned(ledger, Some())
    one, other = planned(ledger, Some(index="one")), planned(ledger, Some(index="other"))
    assert len({nightly.plan_id, one.plan_id, other.plan_id}) == 3  # the id binds to the request
    assert {(p.plan.plan_id, p.state.value) for p in ledger.pending()} == {
        (plan.plan_id, "awaiting") for plan in (nightly, one, other)
    }
    ledger.approve(one.plan_id, actor="ada", how="cli")
    planned(ledger, Some(index="other"), rows=2)
    planned(ledger, Some(), rows=2)
    ledger.require_approval(one.plan_id)  # still counts
    fate = ledger.fate(one.plan_id)
    assert fate is not None
    assert fate.state == "granted"
    newer = planned(ledger, Some(index="one"), rows=2)
    with pytest.raises(ApprovalRefusedError, match=f"superseded by plan {newer.plan_id}"):
        ledger.require_approval(one.plan_id)
    fate = ledger.fate(one.plan_id)
    assert fate is not None
    assert (fate.state, fate.superseded_by) == ("superseded", newer.plan_id)


def test_what_every_night_asks_leaves_ids_as_they_were(ledger: Ledger) -> None:
    plan = planned(ledger, Some())
    assert plan.request == {}
    assert plan.plan_id == plan.asked(Request()).plan_id
    assert "request" not in {key for entry in ledger.pending() for key in entry.document()}
    planned(ledger, Some(index="one"))
    assert [p.document().get("request") for p in ledger.pending()] == [None, {"index": "one"}]
