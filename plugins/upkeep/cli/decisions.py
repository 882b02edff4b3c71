"""Commands by which a person decides: `pending`, `reject`, `pause`, `resume`."""

from __future__ import annotations

from pathlib import Path

import click

from upkeep.cli import console
from upkeep.cli.base import (
    Id,
    Name,
    actor,
    command,
    echo,
    hint,
    json_option,
    load_fleet,
    mend,
    open_ledger,
    out,
    result,
)
from upkeep.errors import ConfigurationError


@click.command()
@json_option
@click.pass_obj
@mend
def pending(path: Path | None, *, as_json: bool) -> int:
    """List the plans that wait for a person's approval."""
    with open_ledger() as ledger:
        waiting = ledger.pending()
    if as_json:
        echo({"schema_version": 1, "pending": [p.document() for p in waiting]})
        return 0
    if not waiting:
        console.say(out, "nothing waits for approval")
    for entry in waiting:
        console.pending(out, entry)
        hint("  approve with", path, "run", entry.plan.job, "--approve", entry.plan.plan_id)
        hint("  reject with", path, "reject", entry.plan.plan_id)
    return 0


@click.command()
@click.argument("plan_id", type=Id("upkeep pending"))
@click.option("--reason", default="", help="Why, for the record.")
@json_option
@mend
def reject(plan_id: str, reason: str, *, as_json: bool) -> int:
    """Reject the pending plan PLAN_ID."""
    with open_ledger() as ledger:
        _, plan = ledger.find_plan(plan_id)
        ledger.reject(plan.plan_id, actor=actor(), how="cli", reason=reason)
    known = {"job": plan.job, "target": plan.target, "rejected_by": actor(), "reason": reason}
    text = f"rejected {plan.plan_id} ({plan.job} on {plan.target})"
    result(text, as_json=as_json, plan_id=plan.plan_id, **known)
    return 0


@click.command()
@click.argument("target", type=Name(), required=False)
@click.option("--reason", default="", help="Why, for the record.")
@json_option
@click.pass_obj
@mend
def pause(path: Path | None, target: str | None, reason: str, *, as_json: bool) -> int:
    """Stop changes on TARGET (or the whole fleet), running ones between two batches, until `resume`."""
    if target is not None:
        load_fleet(path).target(target)
    with open_ledger() as ledger:
        ledger.pause(target, actor=actor(), reason=reason)
    again = command(path, "resume", *([] if target is None else [target]))
    text = f"paused {target or 'the whole fleet'}; go on with: {again}"
    result(text, as_json=as_json, target=target, paused=True, by=actor(), reason=reason)
    return 0


@click.command()
@click.argument("target", type=Name(), required=False)
@json_option
@mend
def resume(target: str | None, *, as_json: bool) -> int:
    """Allow changes on TARGET (or the whole fleet) again."""
    with open_ledger() as ledger:
        was_paused = ledger.resume(target, actor=actor())
    what = "the whole fleet" if target is None else f"'{target}'"
    if target is not None and not was_paused:
        raise ConfigurationError(f"{what} is not paused; a pause of the whole fleet is ended by `upkeep resume` alone")
    text = f"resumed {what}" if was_paused else f"{what} was not paused"
    result(text, as_json=as_json, target=target, paused=False, was_paused=was_paused, by=actor())
    return 0
