"""What would be made or corrected, and what is only reported. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from upkeep.fleet import IndexPolicy, Target
from upkeep.jobs import rights
from upkeep.model import Action, Finding, Observation, Plan, ReasonCode, Request, Severity
from upkeep.mongo import catalog, expiry, specs
from upkeep.mongo.partition_creation.args import Correction, Creation, IndexCreation
from upkeep.mongo.partition_creation.care import Care, cares
from upkeep.mongo.specs import Difference

KINDS = {"validator": "modify_validator", "granularity": "raise_granularity", "hidden_index": "unhide_index"}
"""Difference → the action that corrects it."""


def plan(observation: Observation, target: Target, _request: Request) -> Plan:
    """Return what would be done to every collection in care."""
    actions: list[Action] = []
    found: list[Finding] = []
    sharded = observation.frames["server"][0]["topology"] == "sharded"
    for care in cares(observation.frames, target):
        decided = [*_create(care), *_indexes(care), *_corrections(care)]
        if sharded:
            blocked = (ReasonCode.NOT_SUPPORTED, "a router of a sharded cluster: name each shard's replica set instead")
            decided = [action.model_copy(update={"blocked": blocked}) for action in decided]
            if decided:  # what is declared is not provided
                found.append(_say(care, "topology", Severity.ERROR, blocked[1], "give each shard its own target"))
        actions += decided
        found += _findings(care)
    return Plan.make(observation, actions, found)


def _create(care: Care) -> Iterator[Action]:
    if not care.to_create or care.problem is not None:
        return
    command = specs.create_command(care.subject, care.policy, care.validator)
    yield Action.make(
        kind="create_collection",
        subject=care.subject,
        args=Creation(collection=care.subject, command=str(catalog.text(command))).written(),
        statements=(specs.shell(command),),
        reason="it is declared and not there",
        destructive=False,
        precondition="no collection of that name is there",
        undo="it is dropped while it is empty",
        lock="none on anything that is there",
        rows=0,
    )


def _indexes(care: Care) -> Iterator[Action]:
    creation = tuple(action.id for action in _create(care))
    for index in care.missing_indexes:
        yield _index(care, index, creation)


def _index(care: Care, index: IndexPolicy, after: tuple[str, ...]) -> Action:
    command = specs.create_index_command(care.subject, index)
    return Action.make(
        kind="create_index",
        subject=care.subject,
        detail=index.name,
        args=IndexCreation(
            collection=care.subject,
            uuid=care.row["uuid"] if care.row else None,
            index=index.name,
            command=str(catalog.text(command)),
        ).written(),
        statements=(specs.shell(command),),
        reason="the index is declared and not there",
        destructive=False,
        precondition="no index of that name or with these keys is there",
        undo=f"the index {index.name} is dropped",
        lock="exclusive for a moment at the beginning and the end of the build; reads and writes go on in between",
        after=after,
    )


def _corrections(care: Care) -> Iterator[Action]:
    if care.policy.corrections != "apply" or care.row is None:
        return
    for difference in care.differences:
        if difference.command is not None:
            yield _correction(care, difference, care.row["uuid"])


def _correction(care: Care, difference: Difference, uuid: str | None) -> Action:
    undo = specs.shell(difference.reverse) if difference.reverse else None
    return Action.make(
        kind=KINDS[difference.check],
        subject=care.subject,
        args=Correction(
            collection=care.subject,
            uuid=uuid,
            command=str(catalog.text(difference.command)),
            reverse=catalog.text(difference.reverse),
        ).written(),
        statements=(difference.remedy,),
        reason=difference.text,
        destructive=False,
        precondition="it still differs in this way",
        undo=undo or "none: the server only lets it rise",
        lock="exclusive for a moment",
    )


# -- findings ----------------------------------------------------------------------------------------


def _findings(care: Care) -> Iterator[Finding]:
    if care.problem is not None:
        yield _say(care, "validator_file", Severity.ERROR, care.problem, "correct the file")
        return
    if care.row is None and not care.to_create:
        text = "no collection has such a name"
        yield _say(care, "missing", Severity.WARNING, text, "a glob creates nothing: write the name out, or correct it")
    elif care.lacks:
        text = f"our user may not {', '.join(care.lacks)}"
        yield _say(care, rights.CHECK, Severity.ERROR, text, "`upkeep check` has the command that grants it")
    for difference in care.differences:
        evidence = dict(difference.evidence)
        if difference.check == "validator":
            evidence["documents_refused"] = care.unfit
        yield _say(care, difference.check, difference.severity, difference.text, difference.remedy, **evidence)
    if care.row is not None:
        yield from expiry.index_findings(care.row)


def _say(care: Care, check: str, severity: Severity, text: str, remedy: str, **evidence: object) -> Finding:
    return Finding.of(check, care.subject, severity, text, remedy, evidence=evidence)
