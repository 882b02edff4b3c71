"""`upkeep check` on PostgreSQL: version, role, and whether our role may do what the policies ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from upkeep.engines import connected
from upkeep.fleet import TablePolicy, Target
from upkeep.fleet.location import is_table_name
from upkeep.jobs import rights as job_rights
from upkeep.model import Finding, FindingStatus, Severity
from upkeep.postgres import catalog, names
from upkeep.postgres.catalog import KINDS, Relation
from upkeep.postgres.session import TESTED_VERSIONS, PostgresSession, Row
from upkeep.words import counted

_INHERITS: Final = 16
"""Since this major version each membership says for itself whether it is inherited."""
_INDEXES: Final = "target.indexes"
"""The key of the fleet file that asks for what only a table's owner may do to its indexes."""
NAMED: Final = 10
"""So many tables are named in one statement that grants."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What each table is judged by.

    Attributes
    ----------
    role
        Ours, quoted as in SQL.
    rights
        What it may do, by object id (`table_rights`).
    archives
        The tables that rows are to move into, by the name in the fleet file; those that are there.
    """

    target: Target
    user: str
    role: str
    major: int
    observed: bool
    rights: dict[int, Row]
    archives: dict[str, Relation]


def check(session: PostgresSession, target: Target) -> list[Finding]:
    """Return what was found: the server first, then one line for each policy and table."""
    tested = ", ".join(TESTED_VERSIONS)
    found = [connected(target, session.version, tested=session.tested, tested_versions=tested)]
    if session.is_replica:
        text = "the server is a replica: nothing can be changed there"
        found.append(Finding.of("role", target.name, Severity.ERROR, text, "give the address of the primary"))
    look, tables = _look(session, target)
    found += _server(session.rows("role_rights")[0], look)
    patterns, bad = names.parse_all(target.tables)
    found += [
        Finding.of("table", key, Severity.ERROR, why, "correct the name in the fleet file") for key, why in bad.items()
    ]
    found += _indexes(session, look)
    for key, matched in catalog.by_policy(tables, patterns).items():
        if not matched:
            found.append(
                Finding.of("table", key, Severity.ERROR, "there is no such table", "check schema, name and quotes")
            )
        for relation in matched:
            found.extend(_table(relation, target.tables[key], look))
    return found


def _look(session: PostgresSession, target: Target) -> tuple[_Look, list[Relation]]:
    """Return what the tables are judged by, and the tables that the policies name."""
    into = (p.retain.into for p in target.tables.values() if p.retain is not None and is_table_name(p.retain.into))
    declared, _ = names.parse_all(target.tables)
    archives, _ = names.parse_all(key for key in into if key is not None)
    tables = catalog.relations(session, declared.values())
    others = catalog.by_policy(catalog.relations(session, archives.values()), archives)
    there = {key: found[0] for key, found in others.items() if found}
    rows = session.rows("table_rights", {"oids": [table.oid for table in (*tables, *there.values())]})
    observed = target.mode == "observe" or not (session.tested or target.allow_untested)
    user = session.role
    rights = {row["oid"]: row for row in rows}
    return _Look(target, user, names.quote(user), session.major, observed, rights, there), tables


def _server(role: Row, look: _Look) -> Iterator[Finding]:
    """Yield what our role may not see of the server, and that it may too much."""
    subject, unseen = look.target.name, FindingStatus.NOT_AVAILABLE
    if look.observed:
        text = "observed only: nothing is changed here, and the right to read is enough"
        yield Finding.of("mode", subject, Severity.INFO, text, status=FindingStatus.OK)
    if role["is_superuser"]:
        text = f"'{look.user}' is a superuser, who may more than is needed: docs/rights.md has the least"
        yield Finding.of("privileges", subject, Severity.INFO, text, "use a role as roles/postgres_target.sql makes it")
    if not role["sees_sessions"]:
        text = (
            f"'{look.user}' may not see the sessions of others: long transactions, the lag of replicas and who blocks "
            "whom are not available to gates and health checks"
        )
        remedy = f"grant pg_read_all_stats to {look.role}"
        yield Finding.of("privileges", subject, Severity.WARNING, text, remedy, status=unseen)
    if not look.observed and not role["sees_archiver"]:
        text = f"'{look.user}' may not see how far the archive of WAL is behind: deletions do not wait for it"
        yield Finding.of("privileges", subject, Severity.INFO, text, f"grant pg_monitor to {look.role}", status=unseen)
    lacking = {"pg_read_all_settings": not role["sees_settings"], "pg_stat_scan_tables": role["measures_air"] is False}
    if not look.observed and any(lacking.values()):
        text = f"'{look.user}' may not see how much disk is free, or how much air is in an index: both count as unknown"
        remedy = f"grant {', '.join(name for name, lacks in lacking.items() if lacks)} to {look.role}"
        yield Finding.of("privileges", subject, Severity.INFO, text, remedy, status=unseen)


def _indexes(session: PostgresSession, look: _Look) -> Iterator[Finding]:
    """Yield the jobs that somebody asked for on indexes, whose tables' owners' rights our role has not.

    Everywhere else, which nobody wrote down, indexes are judged and the plan says which may not be touched.
    """
    jobs = [(job, job_rights.severity(job, look.target, names_)) for job, names_ in job_rights.declared(look.target)]
    asked = [job.name for job, bad in jobs if _INDEXES in job.policy_keys and bad is Severity.ERROR]
    if look.observed or not asked:
        return
    lacked, grants = [], []
    for row in session.rows("unowned"):
        tables = [names.display(*name) for name in row["names"]]
        more = f" and {len(tables) - NAMED} more" if len(tables) > NAMED else ""
        lacked.append(f"the rights of '{row['owner']}', who owns {', '.join(tables[:NAMED])}{more}")
        grants.append(catalog.handed(row["owner"], tables[:NAMED], look.role, superuser=row["is_superuser"]))
    if lacked:
        yield from (job_rights.lacking(name, Severity.ERROR, lacked, "; ".join(grants)) for name in asked)


def _table(relation: Relation, policy: TablePolicy, look: _Look) -> Iterator[Finding]:
    subject = relation.subject
    if relation.kind not in ("r", "p"):
        text = f"it is {KINDS.get(relation.kind, 'no table')}, not a table"
        yield Finding.of("table", subject, Severity.ERROR, text, "name the table itself, or take the policy out")
        return
    missing = list(_missing(relation, policy, look))
    yield from missing
    if not missing:
        kind = catalog.STRATEGIES.get(relation.strategy or "", "plain table")
        what = f"partitioned by {kind}" if relation.strategy else kind
        enough = "can be read" if look.observed else "privileges suffice"
        yield Finding.of("table", subject, Severity.INFO, f"found, {what}, {enough}", status=FindingStatus.OK)


def _missing(relation: Relation, policy: TablePolicy, look: _Look) -> Iterator[Finding]:
    """Yield each right that the table's policy needs and our role has not."""
    rights, retain = look.rights[relation.oid], policy.retain
    bad = Severity.WARNING if look.observed else Severity.ERROR
    whole = retain is not None and relation.kind == "p" and retain.precision == "partition"
    rows_go = retain is not None and (not whole or retain.then == "archive")
    enter = [] if rights["may_enter"] else [f"grant usage on schema {names.quote(relation.schema)} to {look.role}"]
    owned = not look.observed and (policy.partition is not None or whole)
    if owned:
        yield from _owners(relation, policy, look, enter)
    if look.observed or (rows_go and (relation.may_alter or not owned)):
        yield from _rows(relation, look, bad, partitions=rows_go, owned=owned)
    if retain is not None and not enter:
        yield from _hidden(relation, look, bad, partitions=rows_go)
    if retain is not None and retain.into in look.archives and not look.observed:
        yield from _archive(look.archives[retain.into], look)


def _rows(relation: Relation, look: _Look, bad: Severity, *, partitions: bool, owned: bool) -> Iterator[Finding]:
    """Yield what is missing to read, and to delete, the rows of a table and of its partitions, which are asked each."""
    rights, wanted = look.rights[relation.oid], ["select"] if look.observed else ["select", "delete"]
    known = [*([] if owned else [rights]), *(rights["lacking"] if partitions else ())]
    short = [row for row in known if not (row["may_enter"] and all(row[f"may_{name}"] for name in wanted))]
    if not short:
        return
    told = short[:NAMED]
    schemas = dict.fromkeys(names.quote(row["schema"]) for row in told if not row["may_enter"])
    grants = [f"grant usage on schema {schema} to {look.role}" for schema in schemas]
    lacked = [name for name in wanted if not all(row[f"may_{name}"] for row in told)]
    tables = [names.display(row["schema"], row["name"]) for row in told if not all(row[f"may_{n}"] for n in wanted)]
    grants += [f"grant {', '.join(lacked)} on {', '.join(tables)} to {look.role}"] if tables else []
    text = f"'{look.user}' may not read it: its rows are not counted"
    if not look.observed:
        text = f"'{look.user}' may not read its rows and delete them"
    if short[0] is not rights:
        text += f", in {counted(len(short), 'partition')}"
    if len(short) > len(told):
        text += f" (and {counted(len(short) - len(told), 'table')} more after these)"
    yield _lacks(relation, text, grants, bad)


def _hidden(relation: Relation, look: _Look, bad: Severity, *, partitions: bool) -> Iterator[Finding]:
    """Yield that policies hide rows, of the table or of partitions whose rows are read by their own names."""
    rights = look.rights[relation.oid]
    if not (rights["hidden"] or (partitions and rights["partitions_hidden"])):
        return
    why = "which is forced upon its owner too" if rights["forced"] and relation.may_alter else "by its policies"
    if not rights["hidden"]:
        why = "by the policies of partitions"
    text = f"row-level security hides rows from '{look.user}', {why}: what is due is not seen whole"
    yield _lacks(relation, text, [f"alter role {look.role} bypassrls"], bad)


def _owners(relation: Relation, policy: TablePolicy, look: _Look, enter: Sequence[str]) -> Iterator[Finding]:
    """Yield what is missing where partitions come and go: the owner's rights, in a schema that both may use."""
    schema, owner, user = names.quote(relation.schema), names.quote(relation.owner), look.user
    if not relation.may_alter:
        text = f"'{user}' has not the rights of its owner '{relation.owner}': partitions cannot be attached or detached"
        grant = relation.handed(look.role)
        if look.rights[relation.oid]["is_member"] and not relation.owner_is_superuser:
            text += ", for it is a member of that role and does not inherit them"
            grant = f"{grant} with inherit true" if look.major >= _INHERITS else f"alter role {look.role} inherit"
        yield _lacks(relation, text, [grant, *enter], Severity.ERROR)
        return
    if enter:
        yield _lacks(relation, f"'{user}' may not use its schema", enter, Severity.ERROR)
    if policy.partition is None:
        return
    if not relation.may_create:
        grant = f"grant create on schema {schema} to {look.role}"
        yield _lacks(relation, f"'{user}' may not create tables in its schema", [grant], Severity.ERROR)
    if not look.rights[relation.oid]["owner_may_create"]:
        text = f"its owner '{relation.owner}' may not create tables in its schema, so that none can be handed to it"
        yield _lacks(relation, text, [f"grant create on schema {schema} to {owner}"], Severity.ERROR)


def _archive(archive: Relation, look: _Look) -> Iterator[Finding]:
    rights, role = look.rights[archive.oid], look.role
    grants = [] if rights["may_enter"] else [f"grant usage on schema {names.quote(archive.schema)} to {role}"]
    wanted = [name for name in ("insert", "select") if not rights[f"may_{name}"]]
    grants += [f"grant {', '.join(wanted)} on {archive.subject} to {role}"] if wanted else []
    if grants:
        text = f"'{look.user}' may not copy rows into it: nothing can be archived there"
        yield _lacks(archive, text, grants, Severity.ERROR)


def _lacks(relation: Relation, text: str, grants: Sequence[str], severity: Severity) -> Finding:
    """Return the finding that a right is missing, with the statements that grant it."""
    return Finding.of("privileges", relation.subject, severity, text, "; ".join(grants))
