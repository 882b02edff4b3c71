"""What an action's args are as JSON: its id is made of them, and an approval of yesterday names that id."""

from __future__ import annotations

import json
from typing import Final

import pytest

from upkeep.jobs.args import Args
from upkeep.jobs.errors import StateChangedError
from upkeep.model import Action
from upkeep.postgres.data_retention import args as known

MAY: Final = "\"FOR VALUES FROM ('2024-05-01 00:00:00+00') TO ('2024-06-01 00:00:00+00')\""
DUE: Final = '"age": "at", "age_type": "timestamptz", "cut_off": "2024-05-16 12:00:00+00:00", "references": []'
LEAF: Final = '"leaves": [{"oid": 16, "schema": "app", "name": "rows", "way": "keys"}]'
SHAPE: Final = '{"id": "bigint", "at": "timestamp with time zone"}'
CASES: Final[list[tuple[type[Args], str]]] = [
    (
        known.Detaching,
        (
            f'{{"oid": 11, "parent_oid": 9, "bounds": {MAY}, "mode": "concurrently", '
            '"terms": {"age": "at", "unit": null, "grace": "7 days", "requires": {"kind": "nothing"}}, '
            '"must_be_empty": false, "referencing": [{"oid": 7, "schema": "app", "table": "notes"}]}'
        ),
    ),
    (
        known.Detaching,
        (
            f'{{"oid": 11, "parent_oid": 9, "root_oid": 8, "bounds": {MAY}, "mode": "plainly", "terms": {{}}, '
            '"must_be_empty": true, "referencing": [], "quality": {"suite": "s.json", "leaves": []}}'
        ),
    ),
    (known.Detaching, f'{{"oid": 11, "parent_oid": 9, "bounds": {MAY}, "mode": "finalize", "terms": {{}}}}'),
    (
        known.Dropping,
        (
            f'{{"oid": 11, "parent_oid": 9, "bounds": {MAY}, "partition": "app.logs_5", "must_be_empty": false, '
            '"foreign_keys": []}'
        ),
    ),
    (
        known.Dropping,
        (
            '{"oid": 11, "parent_oid": null, "bounds": null, "partition": "app.logs_5", "detached_at": "2024-06-01", '
            '"kept_until": "2024-06-08", "snapshot_after": "2024-06-01", "must_be_empty": true, '
            '"foreign_keys": ["logs_fk"], "quality": {"suite": "s.json", "whole": 11, "of": "app.logs_5"}}'
        ),
    ),
    (
        known.Rows,
        (
            '{"age": "at", "age_type": "date", "cut_off": "2024-05-16", "references": [{"schema": "app", '
            '"table": "notes", "columns": ["row"], "referenced": ["id"]}], "leaves": [{"oid": 16, "schema": "app", '
            '"name": "rows", "way": "sample"}, {"oid": 17, "schema": "app", "name": "more", "way": "pages"}]}'
        ),
    ),
    (
        known.Moving,
        (
            f'{{{DUE}, {LEAF}, "archive": {{"oid": 20, "schema": "app", "name": "kept"}}, "columns": ["id", "at"], '
            f'"overriding": false, "proof": "record", "shape": {{"table": {SHAPE}, "archive": {SHAPE}}}}}'
        ),
    ),
    (
        known.Filing,
        (
            f'{{{DUE}, {LEAF}, "files": {{"location": "s3://kept/x", "schema": "app", "name": "rows"}}, "columns": '
            '[{"name": "id", "type": "bigint"}, {"name": "at", "type": "timestamp with time zone"}], '
            f'"proof": "bytes", "shape": {{"table": {SHAPE}, "archive": {{}}}}}}'
        ),
    ),
    (known.CleaningUp, '{"tables": [{"oid": 16, "schema": "app", "name": "rows", "vacuum": false}]}'),
    (known.Settling, '{"files": {"location": "s3://kept/x", "schema": "app", "name": "rows"}}'),
]


def action(text: str) -> Action:
    return Action.make(
        kind="k", subject="s", args=json.loads(text), statements=(), reason="", destructive=True, precondition=""
    )


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_they_come_back_as_the_json_that_they_ever_were(kind: type[Args], text: str) -> None:
    assert json.dumps(kind.of(action(text)).written()) == text


def test_what_another_release_planned_is_planned_again() -> None:
    without_shape = CASES[6][1].partition(', "shape"')[0] + "}"
    with pytest.raises(StateChangedError, match=r"another release .* \(shape\): plan again"):
        known.Moving.of(action(without_shape))
