"""Which of the rights in the role files our user lacks, by what the server shows of its grants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from upkeep import rolefiles
from upkeep.fleet import Target
from upkeep.jobs import rights
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.rolefiles import ALWAYS
from upkeep.tidb import names
from upkeep.tidb.session import TiDBSession

FILES: Final = {"enforce": "sql/roles/tidb_target.sql", "observe": "sql/roles/tidb_observer.sql"}
_DATABASE: Final = "app.*"
"""What stands for the target's database in the role files."""
_GRANT: Final = re.compile(r"grant (?P<rights>.+?) on (?P<scope>\S+) to (?P<user>\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights on everything, a database or a table."""

    rights: frozenset[str]
    scope: str

    def holds(self, right: str, scope: str) -> bool:
        """Return whether it gives a right on a scope, or on one that it is part of."""
        pattern = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in self.scope.replace("*", "%"))
        return bool({right, "all privileges"} & self.rights) and re.fullmatch(pattern, scope) is not None


def findings(session: TiDBSession, target: Target) -> Iterator[Finding]:
    """Yield a finding for each job that the target declares and for which our user lacks a right."""
    shown = [str(text) for row in session.rows("show_grants") for text in row.values()]
    matches = [match for match in map(_GRANT.match, shown) if match is not None]
    held = [_grant(match) for match in matches]
    jobs = [(ALWAYS, Severity.WARNING)]
    jobs += [(job.name, rights.severity(job, target, what)) for job, what in rights.declared(target)]
    for name, severity in jobs:
        missing = _missing(name, target.mode, session.database, held)
        # a role's rights, and those on single tables, are not looked into: what is missing may be among them
        if missing and (len(matches) < len(shown) or any(_is_of_table(one, session.database) for one in held)):
            text = f"whether our user may do what {name} needs is not known: it has rights by roles or tables"
            unseen = FindingStatus.NOT_AVAILABLE
            yield Finding.of("rights", name, Severity.INFO, text, "show grants tells them", status=unseen)
        elif missing:
            grants = "; ".join(f"grant {right} on {_quoted(scope)} to {matches[0]['user']}" for right, scope in missing)
            yield rights.lacking(name, severity, [f"{right} on {scope}" for right, scope in missing], grants)


def _missing(job: str, mode: str, database: str, held: Sequence[Grant]) -> list[tuple[str, str]]:
    found: dict[tuple[str, str], None] = {}
    for section in rolefiles.sections("tidb", FILES[mode]):
        for match in _GRANT.finditer(section.text) if section.job == job else ():
            scope = f"{database}.*" if match["scope"] == _DATABASE else match["scope"]
            for right in sorted(_grant(match).rights):
                if not any(grant.holds(right, scope) for grant in held):
                    found[right, scope] = None
    return [*found]


def _grant(match: re.Match[str]) -> Grant:
    listed = frozenset(right.strip().lower() for right in match["rights"].split(","))
    return Grant(listed, match["scope"].replace("`", ""))


def _is_of_table(grant: Grant, database: str) -> bool:
    return grant.scope.startswith(f"{database}.") and not grant.scope.endswith(".*")


def _quoted(scope: str) -> str:
    schema, _, table = scope.partition(".")
    return scope if schema == "*" else f"{names.quote(schema)}.{table if table == '*' else names.quote(table)}"
