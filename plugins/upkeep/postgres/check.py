"""`upkeep check` on PostgreSQL: version, role, and whether our role may do what the policies ask."""

from __future__ import annotations

from collections.abc import Iterator

from upkeep.engines import connected
from upkeep.fleet import TablePolicy, Target
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.postgres import catalog, names
from upkeep.postgres.catalog import KINDS
from upkeep.postgres.session import TESTED_VERSIONS, PostgresSession


def check(session: PostgresSession, target: Target) -> list[Finding]:
    """Return what was found: the server first, then one line for each policy and table."""
    tested = ", ".join(TESTED_VERSIONS)
    found = [connected(target, session.version, tested=session.tested, tested_versions=tested)]
    if session.is_replica:
        text = "the server is a replica: nothing can be changed there"
        found.append(Finding.of("role", target.name, Severity.ERROR, text, "give the address of the primary"))
    patterns, bad = names.parse_all(target.tables)
    found += [
        Finding.of("table", key, Severity.ERROR, why, "correct the name in the fleet file") for key, why in bad.items()
    ]
    relations = catalog.relations(session, patterns.values())
    for key, matched in catalog.by_policy(relations, patterns).items():
        if not matched:
            found.append(
                Finding.of("table", key, Severity.ERROR, "there is no such table", "check schema, name and quotes")
            )
        for relation in matched:
            found.extend(_table(relation, target.tables[key], session))
    return found


def _table(relation: catalog.Relation, policy: TablePolicy, session: PostgresSession) -> Iterator[Finding]:
    subject = relation.subject
    user = session.connection.info.user
    if relation.kind not in ("r", "p"):
        text = f"it is {KINDS.get(relation.kind, 'no table')}, not a table"
        yield Finding.of("table", subject, Severity.ERROR, text, "name the table itself, or take the policy out")
    elif not relation.may_alter:
        remedy = f"grant {names.quote(relation.owner)} to {names.quote(user)}"
        text = f"'{user}' has not the rights of its owner '{relation.owner}': partitions cannot be attached or detached"
        yield Finding.of("privileges", subject, Severity.ERROR, text, remedy)
    elif policy.partition and not relation.may_create:
        remedy = f"grant create on schema {names.quote(relation.schema)} to {names.quote(user)}"
        yield Finding.of("privileges", subject, Severity.ERROR, f"'{user}' may not create tables in its schema", remedy)
    else:
        kind = catalog.STRATEGIES.get(relation.strategy or "", "plain table")
        what = f"partitioned by {kind}" if relation.strategy else kind
        text = f"found, {what}, privileges suffice"
        yield Finding.of("table", subject, Severity.INFO, text, status=FindingStatus.OK)
