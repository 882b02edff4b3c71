"""Which list and hash partitions are missing: desired minus existing, from the catalog's bounds. Pure.

Values are equal when the server says so (``list_values.sql``): ``1`` and ``'01'`` on whole numbers, ``1.0`` and
``1.00`` on numerics. Only where every declared value stands in the catalog word for word it is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import lcm
from typing import Any, Final, NamedTuple

from upkeep.fleet import HashLevel, ListLevel
from upkeep.model import Finding, Severity
from upkeep.postgres import bounds, names
from upkeep.postgres.partition_creation.forms import Form, Remainder, Rest, Values

TEXTUAL: Final = ("text", "varchar", "bpchar", "name", "citext")
MOST_RESIDUES: Final = 1_000_000
"""Moduli whose least common multiple is greater are not worked out."""
_NAMED: Final = 10
"""Values and partitions named in a finding."""


class Child(NamedTuple):
    """An existing list or hash partition, other than the default."""

    oid: int
    subject: str
    bounds: str


@dataclass(frozen=True, slots=True)
class Sets:
    """What is missing of a level, and what is to be said of it.

    Attributes
    ----------
    missing
        Partitions to create; a default partition comes last, so that no other must take its rows over.
    absent
        How many declared values or remainders no partition takes, those that cannot be created included.
    problem
        Why nothing can be decided.
    """

    missing: tuple[Form, ...] = ()
    absent: int = 0
    findings: tuple[Finding, ...] = ()
    problem: Finding | None = None


@dataclass(frozen=True, slots=True)
class DeclaredValue:
    """What the server says of a declared value.

    Attributes
    ----------
    canonical
        The value as the type writes it.
    equal
        Texts of values that are equal to it, its own included.
    problem
        Why the type refuses it.
    """

    canonical: str
    equal: frozenset[str] = field(default_factory=frozenset)
    problem: str | None = None


def text_of(value: Any) -> str | None:
    """Return a value of the fleet file as the text of a literal."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def unclear(level: ListLevel, key_type: str) -> str | None:
    """Return what YAML has read as something else than the column holds; it must be written in quotes."""
    for value in (v for values in level.lists.values() for v in values):
        wrong = isinstance(value, bool) and key_type != "bool"
        wrong |= isinstance(value, float) and key_type in TEXTUAL
        if wrong:
            kind = "true or false" if isinstance(value, bool) else "a number"
            return f"YAML reads a value of list: as {kind} ({text_of(value)}), but the column is {key_type}"
    return None


def texts(level: ListLevel) -> list[str]:
    """Return the declared values as texts, NULL left out."""
    return [text for values in level.lists.values() for v in values if (text := text_of(v)) is not None]


def to_ask(level: ListLevel, children: Sequence[str]) -> bool:
    """Return whether the server must be asked which values are equal: one does not stand in the catalog as declared."""
    held = {value for child in children for value in bounds.values(child)}
    return any(text not in held for text in texts(level))


def lists(
    level: ListLevel, children: Sequence[Child], known: Mapping[str, DeclaredValue], subject: str, column: str
) -> Sets:
    """Return what is missing of declared lists.

    Parameters
    ----------
    known
        By declared text; a text that is not there is taken as it stands.
    """
    refused = next((k.problem for text in texts(level) if (k := known.get(text)) and k.problem), None)
    if refused is not None:
        return Sets(
            problem=Finding.of("list_values", subject, Severity.ERROR, refused, "correct list: in the fleet file")
        )
    declared = {label: [_known(known, text_of(v)) for v in values] for label, values in level.lists.items()}
    twice = _twice(declared)
    if twice is not None:
        remedy = "leave one of them out: a value lies in one partition"
        return Sets(problem=Finding.of("list_values", subject, Severity.ERROR, twice, remedy))
    holders = {value: child for child in children for value in bounds.values(child.bounds)}
    missing: list[Form] = []
    found: list[Finding] = []
    wanted: set[str | None] = set()
    for label, values in declared.items():
        held = [(one, _holder(one, holders)) for one in values]
        absent = tuple(one.canonical if one else None for one, child in held if child is None)
        if absent:
            missing.append(Values(label, absent))
        wanted |= {text for one in values for text in (one.equal | {one.canonical} if one else {None})}
        apart = {child.oid: child for _, child in held if child is not None}
        if apart and (absent or len(apart) > 1):
            found.append(_partly(subject, label, absent, list(apart.values())))
    others = [(text, child) for text, child in holders.items() if text not in wanted]
    if others:
        found.append(_undeclared(subject, column, others))
    return Sets(tuple(missing), sum(len(m.texts) for m in missing if isinstance(m, Values)), tuple(found))


def and_default(level: ListLevel, sets: Sets, *, has_default: bool) -> Sets:
    """Add the default partition when it is declared and not there."""
    if not level.default or has_default or sets.problem is not None:
        return sets
    return Sets((*sets.missing, Rest()), sets.absent + 1, sets.findings)


def whole(level: ListLevel | HashLevel, known: Mapping[str, DeclaredValue]) -> tuple[Form, ...]:
    """Return all partitions of a list or hash level: those of a table that has none yet."""
    if isinstance(level, HashLevel):
        return tuple(Remainder(level.modulus, number) for number in range(level.modulus))
    return and_default(level, lists(level, (), known, "", ""), has_default=False).missing


def hashes(level: HashLevel, children: Sequence[Child], subject: str) -> Sets:
    """Return the remainders that no partition takes; another modulus is as good when all of it is covered."""
    known = [(child, *bounds.remainder(child.bounds)) for child in children]
    moduli = sorted({modulus for _, modulus, _ in known})
    common = lcm(level.modulus, *moduli)
    if common > MOST_RESIDUES:
        text = f"moduli {', '.join(map(str, moduli))} beside the declared {level.modulus} are not worked out"
        remedy = "write modulus: as it is, or partition the table anew"
        return Sets(problem=Finding.of("hash_modulus", subject, Severity.ERROR, text, remedy))
    covered = {residue for _, modulus, rest in known for residue in range(rest, common, modulus)}
    missing: list[Form] = []
    partly: list[int] = []
    for number in range(level.modulus):
        open_ = [residue for residue in range(number, common, level.modulus) if residue not in covered]
        if len(open_) == common // level.modulus:
            missing.append(Remainder(level.modulus, number))
        elif open_:
            partly.append(number)
    absent = len(missing) + len(partly)
    unfit = next((m for m in moduli if m % level.modulus and level.modulus % m), None)
    findings: list[Finding] = []
    if missing and unfit is not None:
        text = f"{len(missing)} remainders of {level.modulus} are missing, and cannot be created beside partitions of "
        text += f"modulus {unfit}: PostgreSQL wants each modulus to be a factor of the next larger one"
        remedy = f"write modulus: {moduli[-1]}, or partition the table anew"
        findings.append(Finding.of("hash_modulus", subject, Severity.ERROR, text, remedy))
        missing = []
    if partly:
        findings.append(_half_covered(subject, level.modulus, partly, known))
    elif moduli and moduli != [level.modulus] and not findings:
        text = f"partitions of modulus {', '.join(map(str, moduli))} take what modulus {level.modulus} declares"
        findings.append(Finding.of("hash_modulus", subject, Severity.INFO, text, f"write modulus: {moduli[-1]}"))
    return Sets(tuple(missing), absent, tuple(findings))


def _known(known: Mapping[str, DeclaredValue], text: str | None) -> DeclaredValue | None:
    return None if text is None else known.get(text) or DeclaredValue(text, frozenset({text}))


def _holder(one: DeclaredValue | None, holders: Mapping[str | None, Child]) -> Child | None:
    if one is None:
        return holders.get(None)
    return next((holders[text] for text in (one.canonical, *sorted(one.equal)) if text in holders), None)


def _twice(declared: Mapping[str, Sequence[DeclaredValue | None]]) -> str | None:
    seen: dict[str, tuple[str, str]] = {}
    for label, values in declared.items():
        for one in values:
            if one is None:
                continue
            for text in sorted(one.equal | {one.canonical}):
                if text in seen:
                    return f"list: '{one.canonical}' ({label}) is the same value as '{seen[text][1]}' ({seen[text][0]})"
            seen |= dict.fromkeys(one.equal | {one.canonical}, (label, one.canonical))
    return None


def _partly(subject: str, label: str, absent: Sequence[str | None], holders: Sequence[Child]) -> Finding:
    where = "; ".join(f"{c.subject} {c.bounds.removeprefix('FOR VALUES ')}" for c in holders[:_NAMED])
    text = f"values declared for '{label}' are held by {where}"
    if absent:
        text += f"; the rest ({_said(absent)}) gets a partition of its own"
    remedy = "declare the lists as they are, or move the rows by hand: partitions are never taken apart"
    evidence = {"label": label, "holders": [c.subject for c in holders], "missing": list(absent)}
    return Finding.of(
        "list_held", subject, Severity.WARNING if absent else Severity.INFO, text, remedy, evidence=evidence
    )


def _undeclared(subject: str, column: str, others: Sequence[tuple[str | None, Child]]) -> Finding:
    text = f"partitions exist for values of {names.quote(column)} that are not declared: "
    text += _said([value for value, _ in others])
    evidence = {
        "values": [value for value, _ in others[:_NAMED]],
        "partitions": sorted({child.subject for _, child in others})[:_NAMED],
    }
    return Finding.of("list_undeclared", subject, Severity.INFO, text, "declare them in list:", evidence=evidence)


def _said(values: Sequence[str | None]) -> str:
    more = f" and {len(values) - _NAMED} more" if len(values) > _NAMED else ""
    return ", ".join("NULL" if v is None else f"'{v}'" for v in values[:_NAMED]) + more


def _half_covered(
    subject: str, modulus: int, partly: Sequence[int], known: Sequence[tuple[Child, int, int]]
) -> Finding:
    meeting = [
        f"{child.subject} (remainder {rest} of {m})"
        for child, m, rest in known
        if any(m % modulus == 0 and rest % modulus == number for number in partly)
    ]
    text = f"remainder {', '.join(map(str, partly[:_NAMED]))} of {modulus} is only partly taken, by "
    text += ", ".join(meeting[:_NAMED])
    remedy = f"create the remainders that its modulus lacks, or write the modulus as it is instead of {modulus}"
    evidence = {"remainders": list(partly), "partitions": meeting}
    return Finding.of("hash_modulus", subject, Severity.ERROR, text, remedy, evidence=evidence)
