"""What a conversion would do to a plain table, for a person to approve: one action, and what changes for its users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from upkeep.fleet import RangeLevel
from upkeep.jobs.partition_creation.axis import Axis, Value, brief
from upkeep.model import Action, Finding, Json, Requirement, Severity
from upkeep.postgres import names
from upkeep.postgres.partition_creation.conversion import judgement
from upkeep.postgres.partition_creation.conversion import names as conversion_names
from upkeep.postgres.partition_creation.conversion.statements import shown
from upkeep.postgres.partition_creation.conversion.view import Conversion
from upkeep.postgres.partition_creation.view import Care

KIND: Final = "convert_table"
HOUR: Final = 3_600_000_000
"""Microseconds."""


def action(care: Care, conversion: Conversion, taken: set[tuple[str, str]]) -> Action:
    """Return the conversion; it always waits for a person's approval."""
    args = arguments(care, conversion, taken)
    facts = conversion.facts
    subject = care.subject
    part = names.display(facts["schema"], args["part"]["name"])
    lower, upper = brief(args["lower"]), brief(args["upper"])
    unlogged = "; it stays unlogged" if facts["persistence"] == "u" else ""
    return Action.make(
        kind=KIND,
        subject=subject,
        args=args,
        intent=_intent(care, args),
        statements=shown(args),
        reason=(
            f"{subject} is a plain table and its policy wants partitions: it becomes the first one, {part}, "
            f"from {lower} to {upper}{unlogged}; no row is copied or moved"
        ),
        detail=f"{part}, {lower} to {upper}",
        destructive=False,
        precondition=(
            f"{subject} is unchanged since it was planned, every row has {args['key']} from {args['lower']} to "
            f"{args['upper']}, nothing depends on the table by its object id, and writers are "
            f"{_far_from(conversion.axis, args['room'])} from the upper bound"
        ),
        undo=f"{part} becomes {subject} again, and empty partitions are dropped; only while all others are empty",
        lock=_lock(facts["foreign_keys"]),
        not_during=("backup",),
        requires=Requirement(kind="approval"),
    )


def _intent(care: Care, args: Json) -> Json:
    """Return what is wanted of the table: the bounds of its first partition move with the clock, and are not of it.

    What the table carries is compared when it is converted, and so is the distance from the bound that was approved.
    """
    known = {key: args[key] for key in ("key", "type", "zone", "unit")}
    return {"oid": args["parent"]["oid"], **known, "every": str(_level(care).every)}


def _far_from(axis: Axis, room: Value) -> str:
    return f"at least {room} ids" if axis.is_id else f"at least {room // HOUR} hours"


def _lock(keys: list[Json]) -> str:
    known = sorted({names.display(key["schema"], key["table"]) for key in keys})
    others = f" and on {', '.join(known)}, to which its foreign keys point" if known else ""
    return (
        f"twice ACCESS EXCLUSIVE on the table for milliseconds (the second time{others or ' to take over its name'}); "
        "between, while the rows are checked, SHARE UPDATE EXCLUSIVE: readers and writers pass"
    )


def arguments(care: Care, conversion: Conversion, taken: set[tuple[str, str]]) -> Json:
    """Return what apply and undo need."""
    facts, axis = conversion.facts, conversion.axis
    chosen = conversion_names.chosen(conversion, _level(care), taken)
    schema = facts["schema"]
    return {
        "parent": {"oid": facts["oid"], "schema": schema, "name": facts["name"]},
        "made": {"schema": schema, "name": conversion_names.temporary(facts["oid"])},
        "part": {"schema": schema, "name": chosen.pop(facts["name"])},
        "names": {"indexes": chosen, "statistics": conversion_names.of_statistics(conversion, _level(care))},
        "policy": care.policy_name,
        "key": conversion.column,
        "type": axis.type,
        "zone": axis.zone.key,
        "unit": axis.unit,
        "room": judgement.room(axis, _level(care)),
        "lower": axis.write(conversion.span.lower),
        "upper": axis.write(conversion.span.upper),
        "facts": dict(facts),
    }


def _level(care: Care) -> RangeLevel:
    assert isinstance(care.level, RangeLevel)  # noqa: S101 - others are not converted
    return care.level


def findings(care: Care, conversion: Conversion) -> Iterator[Finding]:
    """Yield what a person should know before approving."""
    axis, facts = conversion.axis, conversion.facts
    lower, upper = axis.write(conversion.span.lower), axis.write(conversion.span.upper)
    key = names.quote(conversion.column)
    text = (
        f"while its rows are checked, rows with {key} before {lower} or from {upper} on, or without one, are refused; "
        f"afterwards, rows outside of its partitions are (there is no default partition)"
    )
    yield Finding.of("conversion_bounds", care.subject, Severity.INFO, text, evidence={"lower": lower, "upper": upper})
    if conversion.far is not None:
        text = (
            f"its highest {key} is {conversion.far}: the first partition must contain it and reaches to {upper}, "
            "and no other is made until then"
        )
        remedy = "correct or delete the rows that lie too far ahead before approving"
        yield Finding.of(
            "conversion_far_future", care.subject, Severity.WARNING, text, remedy, evidence={"highest": conversion.far}
        )
    yield from _of_publications(care, conversion)
    speaking = [t["name"] for t in facts["triggers"] if t["row"] and t["names_table"]]
    if speaking:
        known = ", ".join(map(names.quote, speaking))
        text = (
            f"the functions of trigger {known} ask for the table's name: in row triggers they will see the partition's"
        )
        remedy = "give them the name as an argument of the trigger"
        yield Finding.of(
            "conversion_triggers", care.subject, Severity.WARNING, text, remedy, evidence={"triggers": speaking}
        )
    if conversion.before:
        known = ", ".join(map(names.quote, conversion.before))
        text = f"before trigger {known} uses {key}: setting it there no longer chooses the partition, and may fail"
        remedy = f"see that it only reads {key}"
        yield Finding.of(
            "conversion_before_trigger",
            care.subject,
            Severity.WARNING,
            text,
            remedy,
            evidence={"triggers": list(conversion.before)},
        )


def _of_publications(care: Care, conversion: Conversion) -> Iterator[Finding]:
    leaf = [p["name"] for p in conversion.facts["publications"] if not p["via_root"]]
    if not leaf:
        return
    known = ", ".join(map(names.quote, leaf))
    text = (
        f"publication {known} publishes without publish_via_partition_root: changes are sent under the names of the "
        "partitions, and a subscriber without tables of these names stops"
    )
    remedy = f"alter publication {names.quote(leaf[0])} set (publish_via_partition_root = true) before approving"
    yield Finding.of(
        "conversion_publication", care.subject, Severity.WARNING, text, remedy, evidence={"publications": leaf}
    )
