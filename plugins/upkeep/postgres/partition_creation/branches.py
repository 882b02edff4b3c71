"""The sub-partitions that a new partition is made with, as arguments of its creation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from upkeep.jobs.partition_creation.layout import layout
from upkeep.model import Json, ReasonCode
from upkeep.postgres.partition_creation import alike
from upkeep.postgres.partition_creation.forms import Form, Rest, Span, Values, form_args
from upkeep.postgres.partition_creation.partition_names import choose, names_below
from upkeep.postgres.partition_creation.view import Branch, Care


def branch_args(  # noqa: PLR0917 - what `plan` knows by then
    care: Care,
    form: Form,
    name: str,
    default: Mapping[str, Any] | None,
    frames: Mapping[str, Sequence[Mapping[str, Any]]],
    taken: set[tuple[str, str]],
) -> Json:
    """Return what an action says of the new partition's own partitions; nothing where it has none."""
    branch, relation = care.branch, care.relation
    if branch is None or relation is None or isinstance(form, Rest):
        return {}
    like = alike.model(branch.model, relation, frames)
    bucket = _bucket(default, form)
    forms = leaves_for(branch, bucket["first"] if bucket else None)
    leaves = [
        {
            "schema": relation.schema,
            "name": choose(relation.schema, names_below(care, name, leaf), taken),
            **form_args(leaf, branch.axis),
        }
        for leaf in forms
    ]
    below: Json = {"strategy": branch.level.form, "key": branch.key, "type": branch.type, "leaves": leaves}
    return {"below": {**below, "like": like}}


def branch_blocked(
    care: Care, form: Form, args: Json, default: Mapping[str, Any] | None
) -> tuple[ReasonCode, str] | None:
    """Return why the new partition with its own partitions cannot be made."""
    below = args.get("below")
    if below is None:
        return None
    if below["like"] is None:
        return ReasonCode.STATE_CHANGED, "the table to model its partitions after went away while it was looked at"
    if len(below["leaves"]) >= care.cap:
        text = f"its {len(below['leaves'])} sub-partitions are more than max_creations: {care.cap}"
        return ReasonCode.OVER_LIMIT, text
    branch, bucket = care.branch, _bucket(default, form)
    if branch is None or branch.axis is None or branch.wish is None or not bucket:
        return None
    if bucket["without"]:
        text = (
            f"{bucket['without']} rows of the default partition have no {branch.level.by}: no sub-partition takes them"
        )
        return ReasonCode.NOT_SUPPORTED, text
    if branch.axis.read(bucket["last"]) >= layout((), branch.wish, branch.axis).horizon:
        text = f"rows of the default partition lie beyond the declared sub-partitions: {branch.level.by} up to "
        return ReasonCode.NOT_SUPPORTED, text + str(bucket["last"])
    return None


def leaves_for(branch: Branch, first: str | None) -> tuple[Form, ...]:
    """Return the sub-partitions of a new partition; down to ``first`` where such old rows are moved into it."""
    if branch.wish is None or branch.axis is None or first is None:
        return branch.forms
    place = branch.axis.read(first)
    if place >= min((form.lower for form in branch.forms if isinstance(form, Span)), default=place + 1):
        return branch.forms
    found = layout((), replace(branch.wish, since=place, keep_after=None), branch.axis)
    return tuple(sorted(found.missing))


def _bucket(default: Mapping[str, Any] | None, form: Form) -> Mapping[str, Any] | None:
    """Return what is known of the default partition's rows that belong to a list partition."""
    if default is None or not isinstance(form, Values):
        return None
    return next((b for b in default["buckets"] if b.get("label") == form.label), None)
