"""What index analysis finds on MongoDB: each finding raised and cleared, and what a duplicate goes through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.servers import MongoServer
from tests.harness import jobs
from tests.harness.jobs import Runs
from tests.harness.looking import Looks
from tests.harness.mongo import Place, fresh_place, target
from upkeep.mongo.index_analysis import observe

USER = f"reader_{os.getpid()}"
WHAT = target("{}", "indexes: {}")


@pytest.fixture
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as place:
        yield place


def told(place: Place, what: Any = WHAT) -> dict[tuple[str, str], Any]:
    """Return what one look finds that is not well, by check and subject."""
    with place.session() as opened:
        plan = Looks("index_analysis", what).once(opened)
    found: dict[tuple[str, str], Any] = {(f.check, f.subject): f for f in plan.findings if f.status != "ok"}
    return found | {("action", a.subject): a for a in plan.actions}


def stays(found: dict[tuple[str, str], Any], check: str) -> dict[str, str]:
    """Return which index stays for each that a check tells of."""
    return {subject: found[kind, subject].evidence["stays"] for kind, subject in found if kind == check}


def make(place: Place) -> None:
    c = place.db.c
    c.insert_many([{"a": n, "b": n, "at": datetime(2100, 1, 1, tzinfo=UTC)} for n in range(9)])
    for keys, name, more in (
        ([("a", 1)], "up", {}),
        ([("a", -1)], "down", {}),
        ([("a", 1)], "sparse", {"sparse": True}),
        ([("a", -1)], "german", {"collation": {"locale": "de"}}),
        ([("a", -1)], "in_part", {"partialFilterExpression": {"b": 1}}),
        ([("a", -1), ("b", 1)], "both", {}),
        ([("at", 1)], "ttl", {"expireAfterSeconds": 9}),
        ([("at", -1)], "at_down", {}),
        ([("u", 1)], "u", {"unique": True, "sparse": True}),
        ([("u", -1)], "u_down", {"sparse": True}),
        ([("d", 1)], "declared", {}),
        ([("d", -1)], "declared_too", {}),
        ([("$**", 1)], "wild", {}),
        ([("h", "hashed")], "hashed", {}),
    ):
        c.create_index(keys, name=name, **more)
    place.db.create_collection("m", timeseries={"timeField": "at"})
    place.db.create_collection("v", viewOn="c")


def test_each_finding_is_raised_and_cleared(place: Place) -> None:
    make(place)
    declared = target(
        "{c: {indexes: [{keys: {d: 1}, name: declared}, {keys: {d: -1}, name: declared_too}]}}", "indexes: {}"
    )
    found = told(place, declared)
    assert stays(found, "index_duplicate") == {"c.down": "c.up", "c.declared_too": "c.declared"}
    assert {subject for kind, subject in found if kind == "action"} == {"c.down"}
    assert "the fleet file declares it" in found["index_duplicate", "c.declared_too"].remedy
    assert "hint()" in found["action", "c.down"].precondition
    assert stays(found, "index_redundant") == {"c.up": "c.both", "c.u_down": "c.u", "c.at_down": "c.ttl"}
    with place.session() as opened:
        done = Runs("index_analysis", declared).run(opened, gate=True)
    assert (done.ends, done.well) == (["done"], True)
    found = told(place, declared)
    assert {"c.down"} == {subject for kind, subject in found if kind == "index_hidden"}
    assert "index_duplicate" not in {kind for kind, s in found if s == "c.down"}
    for name in ("down", "declared_too", "both", "u_down", "at_down"):
        place.db.c.drop_index(name)
    assert {kind for kind, _ in told(place)} <= {"index_unused"}


def test_what_changed_since_the_plan_stays(place: Place) -> None:
    c = place.db.c
    for change, ended, why in (
        (lambda: c.drop_index("up"), "state_changed", "no index of the same kind"),
        (lambda: place.db.command("collMod", "c", index={"name": "up", "hidden": True}), "state_changed", "no index"),
        (lambda: place.db.command("collMod", "c", index={"name": "down", "hidden": True}), "done", "hidden already"),
        (lambda: c.drop_index("down"), "state_changed", "gone"),
        (c.drop, "state_changed", "gone"),
    ):
        c.drop()
        c.create_index([("a", 1)], name="up")
        c.create_index([("a", -1)], name="down")
        with place.session() as opened:
            late = Runs("index_analysis", WHAT).run(opened, between=change)
        assert (late.ends, why in str(late.outcomes[0].message)) == ([ended], True), late.outcomes


def test_unused_is_what_every_member_says_since_35_days(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    c = place.db.c
    c.insert_many([{"a": n, "b": n} for n in range(9)])
    c.create_index("a", name="idle")
    c.create_index("b", name="busy")
    short = target("{}", "indexes: {unused_after: 35 days}")
    looks = Looks("index_analysis", short)
    idle, busy = ("index_unused", "c.idle"), ("index_unused", "c.busy")
    with place.session() as opened:
        first = looks.look(opened)
        assert (first[idle].status, first[busy].status) == ("ok", "ok")
        assert ("index_unused", "c._id_") not in first
        for said in looks.earlier[0]["measured"]["index_unused"].values():
            if "scans" in said:
                said["since"] = (opened.now() - timedelta(days=36)).isoformat()
        list(c.find({"b": 3}).hint("busy"))
        later = looks.look(opened)
        assert (later[idle].severity, later[idle].status, later[busy].status) == ("WARNING", "finding", "ok")
        assert 'hideIndex("idle")' in later[idle].remedy
        list(c.find({"a": 3}).hint("idle"))
        assert looks.level(opened, *idle) == "ok"
        monkeypatch.setattr(observe, "_members", lambda _: ["127.0.0.1:1"])
        blind = looks.look(opened)
        assert idle not in blind
        assert "cannot be asked" in blind["index_unused", "t"].summary
    with place.session() as opened:  # each other member is asked by itself
        me = opened.hello["me"]
        monkeypatch.setattr(observe, "_members", lambda _: [me])
        opened.hello["me"] = "elsewhere"
        assert looks.look(opened)[idle].evidence["scans"] == 1


def test_who_may_not_see_says_so_and_changes_nothing(place: Place) -> None:
    c = place.db.c
    c.create_index([("a", 1)], name="up")
    c.create_index([("a", -1)], name="down")
    place.db.command("createUser", USER, pwd=USER, roles=[{"role": "read", "db": place.name}])
    try:
        options = {"authSource": place.name}
        with jobs.session("mongo", place.uri, user=USER, password=USER, options=options) as opened:
            done = Runs("index_analysis", WHAT).run(opened)
    finally:
        place.db.command("dropUser", USER)
    blind = next(f for f in done.plan.findings if f.check == "index_unused")
    assert (blind.status, blind.subject) == ("insufficient_evidence", "t")
    assert done.ends == []
    assert "which index is a shard key cannot be seen" in str(done.finding("index_duplicate").remedy)
    assert not any(index.get("hidden") for index in place.indexes("c").values())
