"""What a restore would load: the files of a range, each an action; and why it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from psycopg import sql

from upkeep.errors import ConfigurationError
from upkeep.fleet import TablePolicy, Target
from upkeep.fleet.location import is_location
from upkeep.jobs.contract import RestoreRequest
from upkeep.jobs.data_retention.cutoff import age_axis
from upkeep.jobs.partition_creation.axis import Axis, UnknownBoundsError
from upkeep.model import Action, Finding, FindingStatus, Json, Observation, Plan, Severity
from upkeep.postgres import catalog, names
from upkeep.postgres.catalog import Relation
from upkeep.postgres.data_retention.archive_table import fits
from upkeep.postgres.data_retention.view_from_frames import TIME_TYPES, retain_policies
from upkeep.postgres.session import PostgresSession, Row, statement
from upkeep.stores.manifest import Manifest
from upkeep.stores.shelf import Shelf

ALL: Final = "all"
"""Wanted are the files of every database."""


def plan(session: PostgresSession, target: Target, request: RestoreRequest, observation: Observation) -> Plan:
    """Return one action for each file that holds rows of the range, and findings.

    Raises
    ------
    ConfigurationError
        There is no such archive, or the table cannot take its rows: says why and how.
    """
    archived = names.parse(request.table).exact
    policy = _policy(target, archived)
    shelf = Shelf.open(_location(request, policy), archived.schema, archived.name, session.identity, session.instance)
    counting, pending = shelf.manifests(), shelf.pending()
    ours = [m for m in pending if m.identity == session.identity]
    manifests = [*_manifests(shelf, counting, session.identity, request), *ours]
    others = [m for m in [*counting, *pending] if m not in manifests]
    if not manifests:
        raise ConfigurationError(_nothing(shelf, archived, others))
    into = names.parse(request.into).exact if request.into else archived
    relation, facts = _table(session, into)
    span = _Span.of(request, manifests[0], policy)
    chosen = [m for m in manifests if span.meets(m)]
    for column in {(c["name"], c["type"], c["kind"]) for m in chosen for c in m.columns}:
        _require_fit(column, facts, relation)
    files = {"location": shelf.store.location, "schema": archived.schema, "name": archived.name}
    actions = [_settle(files, relation)] if shelf.has_undecided() else []
    actions += [
        _action(shelf, m, files=files, relation=relation, facts=facts, span=span, again=request.again) for m in chosen
    ]
    findings = list(_findings(relation, policy, request, actions))
    findings += _left_out(relation, [m for m in ours if span.meets(m)], [m for m in others if span.meets(m)])
    return Plan.make(observation, actions, findings)


def _policy(target: Target, table: names.Name) -> TablePolicy | None:
    for text, policy in retain_policies(target).items():
        if names.parse(text).matches(table.schema, table.name):
            return policy
    return None


def _location(request: RestoreRequest, policy: TablePolicy | None) -> str:
    if request.location:
        return request.location
    into = policy.retain.into if policy and policy.retain else None
    if into is None or not is_location(into):
        raise ConfigurationError(
            f"the fleet file archives {request.table} into no directory or object store; name one with --from-location"
        )
    return into


def _manifests(shelf: Shelf, found: list[Manifest], identity: str, request: RestoreRequest) -> list[Manifest]:
    """Return the files of our database; of others where they are wanted, or where only theirs lie at a named place."""
    if request.identity is not None:
        return [m for m in found if request.identity in (ALL, m.identity)]
    ours = [m for m in found if m.identity == identity]
    if ours or request.location is None:
        return ours
    if len({m.identity for m in found}) > 1:
        raise ConfigurationError(
            f"{shelf.directory} holds files of several databases, none of them this one: name one with --identity "
            f"({_names(found)}), or all"
        )
    return found


def _names(manifests: Sequence[Manifest]) -> str:
    return ", ".join(sorted({m.identity for m in manifests}))


def _nothing(shelf: Shelf, archived: names.Name, others: Sequence[Manifest]) -> str:
    if others:
        return (
            f"{shelf.directory} holds {len(others)} file(s) of other databases only ({_names(others)}): take those "
            "that count with --identity"
        )
    return f"{shelf.directory} holds no archived rows of {archived}; name another location"


def _left_out(relation: Relation, pending: Sequence[Manifest], others: Sequence[Manifest]) -> Iterator[Finding]:
    if pending:
        yield Finding.of(
            "archive_undecided",
            relation.subject,
            Severity.WARNING,
            f"{len(pending)} file(s) with {sum(m.rows for m in pending):,} rows are not decided yet: a run was "
            "killed; they come back only where the server says that their transaction was committed",
            "look at the outcome of each; one that cannot be decided is named there",
        )
    if others:
        yield Finding.of(
            "archive_of_others",
            relation.subject,
            Severity.WARNING,
            f"{len(others)} file(s) with {sum(m.rows for m in others):,} rows of that range are of other "
            f"databases ({_names(others)}), or undecided there; they do not come back",
            "if they are this table's from before an upgrade or a move, restore them with --identity ID, or all",
        )


def _table(session: PostgresSession, into: names.Name) -> tuple[Relation, Row]:
    found = catalog.relations(session, [names.parse(str(into))])
    if not found or found[0].kind not in ("r", "p"):
        raise ConfigurationError(f"there is no table {into}: create it, or name another one with --into")
    relation = found[0]
    facts = session.rows("data_retention/facts", {"oids": [relation.oid]})[0]
    fired = [*facts["insert_triggers"], *facts["insert_rules"]]
    if fired:
        raise ConfigurationError(
            f"inserting into {relation.subject} would fire {', '.join(fired)}: restore into another table (--into)"
        )
    if facts["security_active"]:
        raise ConfigurationError(
            f"row-level security of {relation.subject} applies to our role; use its owner, or bypassrls"
        )
    if not facts["may_insert"]:
        raise ConfigurationError(f"our role may not insert: grant insert, select on {relation.subject} to it")
    return relation, facts


def _require_fit(column: tuple[str, str, str], facts: Row, relation: Relation) -> None:
    name, type_, kept = column
    theirs = {c["name"]: c["type"] for c in facts["columns"] or ()}
    quoted = names.quote(name)
    if name not in theirs:
        raise ConfigurationError(
            f"{relation.subject} has no column {quoted} ({type_}) any more: add it, or restore into another table"
        )
    if theirs[name] != type_ and (kept == "float32" or not fits(type_, theirs[name])):
        raise ConfigurationError(
            f"{relation.subject}.{quoted} is {theirs[name]}, the archived rows have {type_}: restore into a table that "
            "has that type (--into)"
        )


class _Span:
    """The wanted range on the age column's axis, as literals."""

    def __init__(self, axis: Axis | None, since: str | None, until: str | None) -> None:
        self.axis = axis
        self.since = since
        self.until = until

    @classmethod
    def of(cls, request: RestoreRequest, manifest: Manifest, policy: TablePolicy | None) -> _Span:
        if request.since and request.until and request.since >= request.until:
            raise ConfigurationError("--from must be before --to")
        axis: Axis | None = None
        if policy is not None:
            axis = age_axis(policy, manifest.age_type)
        elif manifest.age_type in TIME_TYPES:
            axis = Axis(type=manifest.age_type, zone=ZoneInfo("UTC"))
        if axis is None and (request.since or request.until):
            raise ConfigurationError(
                "nothing says what the age column counts: declare the table with retain.unit in the fleet file"
            )
        return cls(axis, _literal(axis, request.since), _literal(axis, request.until))

    def meets(self, manifest: Manifest) -> bool:
        """Return whether the file may hold rows of the range."""
        if self.axis is None or manifest.lowest is None or manifest.highest is None:
            return True
        try:
            low, high = self.axis.read(manifest.lowest), self.axis.read(manifest.highest)
        except UnknownBoundsError:
            return True
        if self.since is not None and high < self.axis.read(self.since):
            return False
        return self.until is None or low < self.axis.read(self.until)


def _literal(axis: Axis | None, instant: datetime | None) -> str | None:
    return axis.write(axis.of(instant)) if axis is not None and instant is not None else None


def _settle(files: Json, relation: Relation) -> Action:
    return Action.make(
        kind="settle_files",
        subject=relation.subject,
        args={"files": files},
        statements=(),
        reason="an earlier run ended before it knew what became of its last transaction",
        destructive=False,
        precondition="the server knows the transaction still",
    )


def _action(
    shelf: Shelf, manifest: Manifest, *, files: Json, relation: Relation, facts: Row, span: _Span, again: bool
) -> Action:
    generated = {c["name"] for c in facts["columns"] or () if c["generated"]}
    args: dict[str, Any] = {
        "files": files,
        "manifest": manifest.model_dump(mode="json"),
        "into": {"oid": relation.oid, "schema": relation.schema, "name": relation.name},
        "given": [c["name"] for c in manifest.columns if c["name"] not in generated],
        "since": span.since,
        "until": span.until,
    }
    if again:
        args["again"] = True
    ends = [text for text in (manifest.lowest, manifest.highest) if text is not None]
    return Action.make(
        kind="restore_file",
        subject=relation.subject,
        args=args,
        statements=_statements(relation, args),
        reason=f"{manifest.rows:,} rows of {manifest.table}, {' to '.join(ends) or 'of unknown age'}, archived "
        f"{manifest.written_at}",
        detail=shelf.place(manifest),
        destructive=False,
        precondition="the file is as it was written, and its rows were not restored there before",
        undo="none: delete the rows by hand, or let retention archive them again",
        lock="none that readers or writers meet",
        not_during=("backup",),
        rows=manifest.rows,
        bytes=manifest.bytes,
    )


def _statements(relation: Relation, args: Json) -> tuple[str, ...]:
    columns: Sequence[str] = [c["name"] for c in args["manifest"]["columns"]]
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    into = sql.Identifier(relation.schema, relation.name)
    return (
        statement("data_retention/restore_stage", columns=listed, into=into).as_string(None),
        statement("data_retention/restore_load", columns=listed).as_string(None),
    )


def _findings(
    relation: Relation, policy: TablePolicy | None, request: RestoreRequest, actions: Sequence[Action]
) -> Iterator[Finding]:
    if not actions:
        yield Finding.of(
            "archive",
            relation.subject,
            Severity.INFO,
            "no archived file holds rows of that range",
            status=FindingStatus.OK,
        )
    elif request.into is None and policy is not None and policy.retain is not None:
        yield Finding.of(
            "due_again",
            relation.subject,
            Severity.INFO,
            f"rows older than {policy.retain.for_} are due again: the next run of data_retention archives them",
            "restore into another table (--into), or keep rows longer (retain.for) while you need them",
        )
