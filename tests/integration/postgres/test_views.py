"""While a target is observed its view is built once: what is read later completes it, as a whole observation would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.harness.postgres import AT, creation, months, retention, session, target
from upkeep.postgres.data_retention import observe, undroppable
from upkeep.postgres.data_retention.view_from_frames import views
from upkeep.postgres.partition_creation import observe as creation_observe
from upkeep.postgres.partition_creation.view_from_frames import cares, judged_anew

ROWS = "retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}"


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def test_retention(db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    months(db, 3, 6)
    months(db, 3, 6, name="kept")
    db.execute("create table old (like kept)")
    db.execute("create table hits (id bigint primary key, at timestamptz); create index on hits (at)")
    db.execute("create table epochs (at bigint); create index on epochs (at); insert into epochs values (1), (17e8)")
    db.execute("create view nothing as select 1 as at; analyze")
    archive = "retain: {by: at, for: 30 days, then: archive, into: public.old, requires: nothing}"
    what = target(
        {
            "public.logs": "retain: {by: at, for: 30 days, then: delete, requires: nothing}",
            "public.kept": archive,
            "public.hits": ROWS,
            "public.epochs": ROWS.replace("by: at", "by: at, unit: milliseconds"),
            "public.nothing": ROWS,
            "public.absent": ROWS,
        }
    )
    built: list[Any] = []
    completed: list[Any] = []
    read = undroppable.read

    def once(observation: Any, about: Any) -> Any:
        built.append(observation)
        return views(observation, about)

    def last(opened: Any, found: Any) -> Any:
        completed.append((found, views(built[0], what)))
        return read(opened, found)

    monkeypatch.setattr(observe, "views", once)
    monkeypatch.setattr(undroppable, "read", last)
    with session(database) as opened:
        retention(what).observe(opened, AT)
    assert len(built) == 1
    ((steps, whole),) = completed
    assert {view.subject for view in steps if view.problem} == {"public.epochs", "public.nothing", "public.absent"}
    for step, view in zip(steps, whole, strict=True):
        if view.problem is None:
            assert step == view
        else:  # of a table with a problem nothing else is looked at
            assert (step.subject, step.problem) == (view.subject, view.problem)


def test_creation(db: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    db.execute("create table logs (at timestamptz not null) partition by range (at)")
    db.execute("create table ids (id bigint not null) partition by range (id)")
    db.execute("create table kinds (kind text) partition by list (kind); create table k partition of kinds default")
    what = target(
        {
            "public.logs": "partition: {by: at, every: 1 month, ahead: 1}",
            "public.ids": "partition: {by: id, every: 1000, ahead: 1}",
            "public.kinds": "partition: {by: kind, list: {a: [a], b: [b]}}",
        }
    )
    anew: list[set[str]] = []

    def compared(found: Any, frames: Any, *rest: Any) -> Any:
        *known, about = rest
        result = judged_anew(found, frames, *known, about)
        assert result == cares(frames, *known)
        before = {care.subject: care for care in found}
        anew.append({care.subject for care in result if care is not before[care.subject]})
        return result

    monkeypatch.setattr(creation_observe, "judged_anew", compared)
    with session(database) as opened:
        creation(what).observe(opened, AT)
    assert anew[0] == {"public.kinds"}
    assert anew[1] == set()
    assert anew[2] <= {"public.ids"}
