"""What an action's args are as JSON: its id is made of them, and an approval of yesterday names that id."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from upkeep.jobs.args import Args
from upkeep.jobs.errors import StateChangedError
from upkeep.model import Action
from upkeep.mongo.data_retention import args as documents
from upkeep.mongo.partition_creation import args as collections
from upkeep.redis.data_retention import args as streams
from upkeep.tidb.catalog import Planned
from upkeep.tidb.data_retention import args as tables
from upkeep.tidb.partition_creation import args as partitions

AT = datetime(2024, 2, 14, 12, 30, 0, 250_000, tzinfo=UTC)
EVENTS = Planned(112, "app", "order_events")
CASES: list[tuple[Args, str]] = [
    (
        documents.Documents(
            collection="events", uuid="ab12", age="at", cut_off=AT, index="at_1", into=None, archive=None
        ),
        (
            '{"collection": "events", "uuid": "ab12", "age": "at", "cut_off": "2024-02-14T12:30:00.250000+00:00", '
            '"index": "at_1", "into": null, "archive": null}'
        ),
    ),
    (
        documents.Measurements(
            collection="metrics", uuid=None, time="ts", cut_off=datetime(1, 1, 1, tzinfo=UTC), into="old", archive="cd"
        ),
        (
            '{"collection": "metrics", "uuid": null, "time": "ts", "cut_off": "0001-01-01T00:00:00+00:00", '
            '"into": "old", "archive": "cd"}'
        ),
    ),
    (
        documents.Expiry(
            collection="metrics",
            uuid="ab12",
            time="ts",
            expired_before=datetime(2024, 2, 14, tzinfo=UTC),
            expected=None,
            seconds=7_776_000,
            into=None,
            archive=None,
        ),
        (
            '{"collection": "metrics", "uuid": "ab12", "time": "ts", "expired_before": "2024-02-14T00:00:00+00:00", '
            '"expected": null, "seconds": 7776000, "into": null, "archive": null}'
        ),
    ),
    (
        documents.Creation(collection="old", command='{"create": "old"}'),
        '{"collection": "old", "command": "{\\"create\\": \\"old\\"}"}',
    ),
    (
        collections.Creation(collection="events", command='{"create": "events"}'),
        '{"collection": "events", "command": "{\\"create\\": \\"events\\"}"}',
    ),
    (
        collections.IndexCreation(collection="events", uuid=None, index="at_1", command="{}"),
        '{"collection": "events", "uuid": null, "index": "at_1", "command": "{}"}',
    ),
    (
        collections.Correction(collection="events", uuid="ab12", command="{}", reverse=None),
        '{"collection": "events", "uuid": "ab12", "command": "{}", "reverse": null}',
    ),
    (
        partitions.Creation(
            table=EVENTS,
            method="reorganize",
            partitions=(partitions.New("p_2024_02", "2024-03-01"), partitions.New("p_2024_03", "2024-04-01")),
            last="2024-02-01",
            maxvalue=partitions.Highest(117, "rest"),
            divided=partitions.Divided(117, "rest", "MAXVALUE"),
            move=3,
            move_at_most=10_000,
        ),
        (
            '{"table": {"id": 112, "schema": "app", "name": "order_events"}, "method": "reorganize", "partitions": '
            '[{"name": "p_2024_02", "bound": "2024-03-01"}, {"name": "p_2024_03", "bound": "2024-04-01"}], '
            '"last": "2024-02-01", "maxvalue": {"id": 117, "name": "rest"}, '
            '"divided": {"id": 117, "name": "rest", "bound": "MAXVALUE"}, "move": 3, "move_at_most": 10000}'
        ),
    ),
    (
        tables.OfPartition(oid=131, parent_oid=112, table=EVENTS, partition="p_2024_01", bounds=(None, "2024-02-01")),
        (
            '{"oid": 131, "parent_oid": 112, "table": {"id": 112, "schema": "app", "name": "order_events"}, '
            '"partition": "p_2024_01", "bounds": [null, "2024-02-01"]}'
        ),
    ),
    (
        tables.Detaching(
            oid=131,
            parent_oid=112,
            table=EVENTS,
            partition="p_2024_01",
            bounds=("2024-01-01", "2024-02-01"),
            lowest=False,
            ageless=tables.Ageless("at", "datetime"),
            terms={"age": "at", "unit": None, "requires": {"kind": "approval"}},
            merges=True,
        ),
        (
            '{"oid": 131, "parent_oid": 112, "table": {"id": 112, "schema": "app", "name": "order_events"}, '
            '"partition": "p_2024_01", "bounds": ["2024-01-01", "2024-02-01"], "lowest": false, '
            '"ageless": {"column": "at", "type": "datetime"}, '
            '"terms": {"age": "at", "unit": null, "requires": {"kind": "approval"}}, "merges": true}'
        ),
    ),
    (
        tables.Dropping(
            oid=131,
            parent_oid=112,
            bounds=(None, "2024-02-01"),
            name="app.order_events__p_2024_01__131",
            not_due={"column": "at", "type": "datetime", "from": "2024-02-01 00:00:00"},
            planned_rows=None,
        ),
        (
            '{"oid": 131, "parent_oid": 112, "bounds": [null, "2024-02-01"], '
            '"name": "app.order_events__p_2024_01__131", '
            '"not_due": {"column": "at", "type": "datetime", "from": "2024-02-01 00:00:00"}, "planned_rows": null}'
        ),
    ),
    (
        tables.Dropping(
            oid=131,
            parent_oid=112,
            bounds=(None, "2024-02-01"),
            detached_at="2024-03-01T00:00:00+00:00",
            kept_until="2024-03-08T00:00:00+00:00",
            snapshot_after="2024-03-01T00:00:00+00:00",
            name="n",
            not_due=None,
            empty=False,
            planned_rows=7,
        ),
        (
            '{"oid": 131, "parent_oid": 112, "bounds": [null, "2024-02-01"], '
            '"detached_at": "2024-03-01T00:00:00+00:00", "kept_until": "2024-03-08T00:00:00+00:00", '
            '"snapshot_after": "2024-03-01T00:00:00+00:00", "name": "n", "not_due": null, "empty": false, '
            '"planned_rows": 7}'
        ),
    ),
    (
        tables.Leftover(id=140, oid=131, name="n", table=EVENTS),
        '{"id": 140, "oid": 131, "name": "n", "table": {"id": 112, "schema": "app", "name": "order_events"}}',
    ),
    (
        tables.Rows(
            table=EVENTS, age="at", age_type="datetime", cut_off="2024-02-01", index=None, key=("id",), references=()
        ),
        (
            '{"table": {"id": 112, "schema": "app", "name": "order_events"}, "age": "at", "age_type": "datetime", '
            '"cut_off": "2024-02-01", "index": null, "key": ["id"], "references": []}'
        ),
    ),
    (
        tables.Rows(
            table=EVENTS,
            age="at",
            age_type="datetime",
            cut_off="2024-02-01",
            index="at",
            key=("id", "at"),
            references=({"schema": "app", "table": "notes", "columns": ["event"], "referenced": ["id"]},),
            partition="p_2024_01",
            oid=131,
            ends="2024-02-01",
            archive=Planned(150, "app", "kept"),
            columns=("id", "at"),
            shape={"table": {"id": "bigint"}, "archive": {"id": "bigint"}},
        ),
        (
            '{"table": {"id": 112, "schema": "app", "name": "order_events"}, "age": "at", "age_type": "datetime", '
            '"cut_off": "2024-02-01", "index": "at", "key": ["id", "at"], "references": '
            '[{"schema": "app", "table": "notes", "columns": ["event"], "referenced": ["id"]}], '
            '"partition": "p_2024_01", "oid": 131, "ends": "2024-02-01", '
            '"archive": {"id": 150, "schema": "app", "name": "kept"}, "columns": ["id", "at"], '
            '"shape": {"table": {"id": "bigint"}, "archive": {"id": "bigint"}}}'
        ),
    ),
    (
        streams.Entries(key="logs", cut_off="1707913800000-0", added=7, first="1-1", last=None),
        '{"key": "logs", "cut_off": "1707913800000-0", "added": 7, "first": "1-1", "last": null}',
    ),
]


@pytest.mark.parametrize(("args", "text"), CASES, ids=lambda case: type(case).__qualname__)
def test_they_are_the_same_json_as_ever_and_come_back(args: Args, text: str) -> None:
    assert json.dumps(args.written()) == text
    action = Action.make(
        kind="k",
        subject="s",
        args=json.loads(text),
        statements=(),
        reason="",
        destructive=True,
        precondition="",
    )
    assert type(args).of(action) == args


def test_what_another_release_planned_is_planned_again() -> None:
    known = json.loads(CASES[-1][1])
    for values in ({**known, "later": 1}, {key: known[key] for key in known if key != "added"}):
        action = Action.make(
            kind="delete_entries",
            subject="logs",
            args=values,
            statements=(),
            reason="",
            destructive=True,
            precondition="",
        )
        with pytest.raises(StateChangedError, match=r"another release .* \((later|added)\): plan again"):
            streams.Entries.of(action)
