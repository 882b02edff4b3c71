"""Which of the rights in the role files our user lacks, by what the server shows of its grants."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from upkeep import rolefiles
from upkeep.fleet import Target
from upkeep.fleet.location import is_table_name
from upkeep.jobs import rights, spec
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.rolefiles import ALWAYS
from upkeep.tidb import catalog, names
from upkeep.tidb.session import TiDBSession

FILES: Final = {"enforce": "sql/roles/tidb_target.sql", "observe": "sql/roles/tidb_observer.sql"}
_DATABASE: Final = "app"
"""What stands for databases in care in the role files."""
_PART: Final = r"(?:`(?:[^`]|``)+`|[^\s.`]+)"
_GRANT: Final = re.compile(
    rf"grant (?P<rights>.+?) on (?P<schema>{_PART})\.(?P<table>{_PART}) to (?P<user>\S+)", re.IGNORECASE
)
_ALL: Final = "*"
_OURS: Final = "*"
"""As a name in the fleet file: the tables of the connection's database."""
Scope = tuple[str, str]
"""Database and table; ``*``: all of them."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights on everything, a database or a table, as the server shows them."""

    rights: frozenset[str]
    schema: str
    table: str

    def gives(self, right: str) -> bool:
        """Return whether the right is among its own."""
        return bool({right, "all privileges"} & self.rights)

    def is_of(self, schema: str) -> bool:
        """Return whether it is of databases, that one among them: a name there is a pattern with ``%`` and ``_``."""
        if self.table != _ALL or _ALL in {self.schema, schema}:
            return False
        words = re.findall(r"\\[\\_%]|.", self.schema, re.DOTALL)
        pattern = "".join(".*" if w == "%" else "." if w == "_" else re.escape(w[-1]) for w in words)
        return re.fullmatch(pattern, schema, re.DOTALL | re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Held:
    """What our user may do; ``told``: whether the server's answer is all of it, or roles have more."""

    user: str
    grants: tuple[Grant, ...]
    told: bool

    @classmethod
    def by(cls, session: TiDBSession) -> Held:
        """Ask the server."""
        shown = [str(text) for row in session.rows("show_grants") for text in row.values()]
        matches = [match for match in map(_GRANT.match, shown) if match is not None]
        return cls(matches[0]["user"], tuple(map(_grant, matches)), len(matches) == len(shown))

    def holds(self, right: str, scope: Scope) -> bool:
        """Return whether it gives a right on a scope, or on one that it is part of.

        Of several patterns that fit a database the server goes by one alone, so that each has to give it.
        """
        schema, table = scope
        if any(one.gives(right) and (one.schema, one.table) == (_ALL, _ALL) for one in self.grants):
            return True
        if any(
            one.gives(right) and names.same(one.schema, schema) and names.same(one.table, table)
            for one in self._tables()
        ):
            return True
        fits = [one for one in self.grants if one.is_of(schema)]
        return bool(fits) and all(one.gives(right) for one in fits)

    def has_tables_of(self, schema: str) -> bool:
        """Return whether some of it is on single tables of a database."""
        return any(names.same(one.schema, schema) for one in self._tables())

    def _tables(self) -> list[Grant]:
        return [one for one in self.grants if one.table != _ALL]

    def remedy(self, right: str, scope: Scope) -> str:
        """Return what grants a right: on the patterns that fit the database already, which a new one would hide."""
        schema, table = scope
        patterns = [one.schema for one in self.grants if one.is_of(schema) and not one.gives(right)]
        if table != _ALL:
            on = [f"{names.quote(schema)}.{names.quote(table)}"]
        elif schema == _ALL:
            on = ["*.*"]
        else:
            escaped = re.sub(r"([\\_%])", r"\\\1", schema)
            on = [f"{names.quote(pattern)}.*" for pattern in patterns or [escaped]]
        return "; ".join(f"grant {right} on {one} to {self.user}" for one in on)


def findings(session: TiDBSession, target: Target) -> Iterator[Finding]:
    """Yield a finding for each job that the target declares and for which our user lacks a right."""
    held = Held.by(session)
    policies = target.subjects()
    every = _databases(session, [_OURS, *policies, *_archives(target, policies)])
    jobs = [(ALWAYS, Severity.WARNING, every)]
    for job, what in rights.declared(target):
        jobs.append((job.name, rights.severity(job, target, what), _touched(session, target, job, what)))
    for name, severity, databases in jobs:
        missing = _missing(name, target.mode, databases, held)
        # a role's rights, and those on single tables, are not looked into: what is missing may be among them
        if missing and (
            not held.told or any(table == _ALL and held.has_tables_of(schema) for _, (schema, table) in missing)
        ):
            text = f"whether our user may do what {name} needs is not known: it has rights by roles or tables"
            unseen = FindingStatus.NOT_AVAILABLE
            yield Finding.of("rights", name, Severity.INFO, text, "show grants tells them", status=unseen)
        elif missing:
            grants = "; ".join(held.remedy(right, scope) for right, scope in missing)
            yield rights.lacking(name, severity, [f"{right} on {'.'.join(scope)}" for right, scope in missing], grants)


def _touched(session: TiDBSession, target: Target, job: spec.JobSpec, what: rights.Declared) -> list[str]:
    """Return the databases in which a job works: the connection's, or those of the tables and of their archives."""
    tables = [*what.objects, *(_archives(target, what.objects) if "retain" in job.policy_keys else ())]
    if what.own:
        # a backup is of the connection's database
        tables += [_OURS, *(() if job.verifies else target.subjects())]
    return _databases(session, tables)


def _archives(target: Target, tables: Iterable[str]) -> list[str]:
    policies = [target.subjects()[name].retain for name in tables]
    return [p.into for p in policies if p is not None and p.into is not None and is_table_name(p.into)]


def _databases(session: TiDBSession, tables: Iterable[str]) -> list[str]:
    """Return the databases of names or globs of tables: one that is named in full, whether we see it or not."""
    found: dict[str, None] = {}
    for table in tables:
        pattern = names.parse(table)
        whole = replace(pattern, name="", quoted=(pattern.quoted[0], True))
        seen = catalog.databases(session, [whole])
        found |= dict.fromkeys(one for one in seen if whole.matches(one, "", session.database))
    return [*found]


def _missing(job: str, mode: str, databases: Sequence[str], held: Held) -> list[tuple[str, Scope]]:
    found: dict[tuple[str, Scope], None] = {}
    for section in rolefiles.sections("tidb", FILES[mode]):
        for match in _GRANT.finditer(section.text) if section.job == job else ():
            for schema in databases if match["schema"] == _DATABASE else [match["schema"]]:
                scope = (schema, match["table"])
                for right in sorted(_grant(match).rights):
                    if not held.holds(right, scope):
                        found[right, scope] = None
    return [*found]


def _grant(match: re.Match[str]) -> Grant:
    listed = frozenset(right.strip().lower() for right in match["rights"].split(","))
    return Grant(listed, _bare(match["schema"]), _bare(match["table"]))


def _bare(part: str) -> str:
    return part[1:-1].replace("``", "`") if part.startswith("`") else part
