"""Whether a detached table may be dropped is decided on values alone: one "no" each, and the unchanged table goes."""

from dataclasses import replace
from typing import Any

import pytest

from tests.harness.jobs import on
from tests.harness.retention_views import UTC_ZONE, policy, view
from upkeep.jobs.data_retention.marker import terms
from upkeep.jobs.partition_creation.axis import Axis
from upkeep.postgres.data_retention.detached import droppable, why_kept
from upkeep.postgres.data_retention.view import Marked

AXIS = Axis("timestamptz", UTC_ZONE)
MARKER: dict[str, Any] = {
    **terms(policy(), "at", AXIS),
    "oid": 3,
    "partition": "public.logs_3",
    "detached_from": "public.logs",
    "parent_oid": 1,
    "bounds": "FOR VALUES FROM ('2024-03-01 00:00:00+00') TO ('2024-04-01 00:00:00+00')",
    "at": "2024-06-01T00:00:00+00:00",
    "drop_after": "2024-06-08T00:00:00+00:00",
    "state": "detached",
    "rows": 10,
    "bytes": 8192,
    "objects": [7],
}


def marked(*, marker: dict[str, Any] | None = None, **changes: Any) -> Marked:
    known: dict[str, Any] = {"oid": 3, "schema": "public", "name": "logs_3", "kind": "r", "rows": 10.0, "pages": 1}
    known |= {"is_partition": False, "detach_pending": False, "may_alter": True, "foreign_keys": [], "dependants": []}
    known |= {"not_empty": None, "known": True, "objects": [{"oid": 7, "what": "trigger own"}], "evidence": {}}
    known |= {"owner": "app_owner", "owner_is_superuser": False, "counted": 10, "uncounted": False, "younger": False}
    return Marked(**{**known, "marker": MARKER | (marker or {}), **changes})


def without(*keys: str) -> Marked:
    found = marked()
    return replace(found, marker={k: v for k, v in found.marker.items() if k not in keys})


@pytest.mark.parametrize(
    "found",
    [
        marked(),
        marked(counted=3, pages=0, objects=[]),  # smaller
        marked(younger=None),  # could not be seen in time
        without("oid", "partition", "rows", "bytes", "objects", "age", "unit", "timezone", "then", "grace", "requires"),
        marked(marker={"drop_after": "2024-06-02T00:00:00+00:00"}),  # the owner moved it
    ],
)
def test_it_goes(found: Marked) -> None:
    assert why_kept(view(4, 5, 6, tells_age=True), found) is None
    assert droppable(view(4, 5, 6, tells_age=True), found)


@pytest.mark.parametrize(
    ("today", "found", "check"),
    [
        ({}, marked(known=False), "unknown_marker"),
        ({}, marked(marker={"oid": 4}), "unknown_marker"),
        ({}, marked(dependants=["view v"]), "dependants"),
        ({}, marked(may_alter=False), "privileges"),
        ({}, marked(name="march"), "detached_changed"),
        ({}, marked(schema="attic"), "detached_changed"),
        ({}, marked(counted=11), "detached_changed"),
        ({}, marked(pages=2), "detached_changed"),
        ({}, marked(counted=None, uncounted=True), "detached_changed"),
        ({}, marked(objects=[{"oid": 7, "what": ""}, {"oid": 8, "what": "trigger new"}]), "detached_changed"),
        ({}, marked(younger=True), "detached_not_due"),
        ({"for": "5 years"}, marked(), "detached_not_due"),
        ({}, marked(marker={"bounds": "FOR VALUES FROM ('2024-03-01 00:00:00+00') TO (MAXVALUE)"}), "detached_not_due"),
        ({}, marked(marker={"bounds": "DEFAULT"}), "detached_not_due"),
        ({}, marked(marker={"age": "made"}), "detached_not_due"),
        ({}, marked(marker={"timezone": "Asia/Tokyo"}), "detached_not_due"),
        ({"grace": "1 month"}, marked(), "detached"),
        ({}, marked(marker={"drop_after": "2024-07-01T00:00:00+00:00"}), "detached"),
        ({}, without("drop_after"), "detached"),
        ({}, marked(marker={"then": "archive"}, not_empty=True), "detached_rows"),
        ({}, marked(marker={"then": "archive"}, not_empty=None), "detached_rows"),
        ({"then": "archive", "into": "old"}, marked(not_empty=True), "detached_rows"),  # nowhere to move to
    ],
)
def test_it_stays(today: dict[str, Any], found: Marked, check: str) -> None:
    length = str(today.get("for", "1 month"))
    changes = {key: value for key, value in today.items() if key != "for"}
    axis_cut_off = AXIS.of(on("2019-06-15")) if "for" in today else AXIS.of(on("2024-05-15"))
    kept = why_kept(view(4, 5, 6, policy=policy(length, **changes), cut_off=axis_cut_off), found)
    assert kept is not None
    assert kept.check == check


def test_attached_or_pending_it_is_no_matter_of_dropping() -> None:
    assert not droppable(view(4, 5, 6), marked(is_partition=True))
    assert not droppable(view(4, 5, 6), marked(is_partition=True, detach_pending=True))
