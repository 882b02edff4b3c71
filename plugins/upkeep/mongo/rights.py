"""Which of the rights in the role files our user lacks, by what the server says of its privileges."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from pymongo.errors import OperationFailure

from upkeep import rolefiles
from upkeep.fleet import Target
from upkeep.jobs import rights
from upkeep.model import Finding, Severity
from upkeep.mongo import catalog, faults
from upkeep.mongo.session import Doc, MongoSession
from upkeep.rolefiles import ALWAYS, Section

FILES: Final = {"enforce": "mongo/roles/target.js", "observe": "mongo/roles/observer.js"}
DATABASE: Final = "app"
"""What stands for the target's database in the role files."""
_ARCHIVE, _SERIES = "archive", "series"
KINDS: Final = ("", _ARCHIVE, _SERIES)
"""What stands for collections there: those in care, archives, time series."""
ROLES: Final = {"enforce": "upkeep", "observe": "upkeep_observer"}
_OF_DATABASES: Final = ("listCollections", "dbStats")
"""Actions of a database; on one of its collections they are worth nothing."""
_FEW: Final = 2
_CALL: Final = ('db.getSiblingDB("admin").runCommand(', ")")


def command(section: Section) -> Doc:
    """Return the command of a section."""
    found: Doc = json.loads(section.text.removeprefix(_CALL[0]).removesuffix(_CALL[1]))
    return found


def findings(session: MongoSession, target: Target, granted: Sequence[Doc] | None) -> Iterator[Finding]:
    """Yield a finding for each job that the target declares and for which our user lacks a right."""
    if granted is None:  # the server asks for no login
        return
    there = _stored(session)
    jobs = [(ALWAYS, [*target.collections] or [""], Severity.ERROR)]
    for job, what in rights.declared(target):
        jobs.append((job.name, [*([""] if what.own else ()), *what.objects], rights.severity(job, target, what)))
    for name, names, worst in jobs:
        sections = (s for s in rolefiles.sections("mongo", FILES[target.mode]) if s.job == name)
        missing = [
            (resource, lacks)
            for section in sections
            for resource, actions in _wanted(section, session.database.name, target, names, there)
            if (lacks := [action for action in actions if not catalog.holds(granted, resource, action)])
        ]
        if missing:
            ours = [one for one in missing if one[0].get("db") == session.database.name]
            severity = worst if ours else Severity.WARNING
            remedy = _remedy(session, ROLES[target.mode], name, missing)
            # a collection and its archive one by one, with what each lacks; many are said once
            if severity is Severity.ERROR and len(ours) <= _FEW:
                for one in ours:
                    yield rights.lacking(name, severity, _told([one]), remedy, subject=one[0].get("collection", ""))
                missing, severity = [one for one in missing if one not in ours], Severity.WARNING
            if missing:
                yield rights.lacking(name, severity, _told(missing), remedy)


def _told(missing: Sequence[tuple[Doc, Sequence[str]]]) -> list[str]:
    return [f"{', '.join(actions)} on {_shown(resource)}" for resource, actions in missing]


def _stored(session: MongoSession) -> list[str]:
    """Return what a glob may mean; nothing where our user may not look."""
    try:
        return [row["name"] for row in session.database.list_collections() if row["type"] != "view"]
    except OperationFailure as error:
        if faults.code(error) in faults.UNAUTHORIZED:
            return []
        raise


def _wanted(
    section: Section, database: str, target: Target, names: Sequence[str], there: Sequence[str]
) -> Iterator[tuple[Doc, list[str]]]:
    """Yield resources and actions of a section, with the target's names in the place of the file's."""
    for privilege in command(section)["privileges"]:
        resource, actions = privilege["resource"], privilege["actions"]
        if resource.get("db") != DATABASE:
            yield resource, actions
        elif resource.get("collection") not in KINDS:
            yield {**resource, "db": database}, actions
        else:
            for name in _meant(target, _collections(resource["collection"], target, names), there):
                own = [action for action in actions if not name or action not in _OF_DATABASES]
                yield {"db": database, "collection": name}, own
            if whole := [action for action in actions if action in _OF_DATABASES]:
                yield {"db": database, "collection": ""}, whole


def _collections(kind: str, target: Target, names: Sequence[str]) -> list[str]:
    """Return the collections that a word of the role file stands for; ``""``: all of the database."""
    if kind == "":
        return [*names]
    policies = [(name, policy) for name, policy in target.collections.items() if policy.retain is not None]
    if kind == _SERIES:
        return [name for name, policy in policies if policy.timeseries]
    return sorted({policy.retain.into for _, policy in policies if policy.retain and policy.retain.into})


def _meant(target: Target, names: Sequence[str], there: Sequence[str]) -> list[str]:
    """Return the collections that names and globs mean; a glob that means none yet: all of the database."""
    meant = catalog.by_policy(there, names, _collections(_ARCHIVE, target, ()))
    whole = {name: [""] if catalog.is_glob(name) else [name] for name in names}
    return [*dict.fromkeys(one for name, found in meant.items() for one in found or whole[name])]


def _shown(resource: Doc) -> str:
    if resource.get("cluster"):
        return "the cluster"
    if "system_buckets" in resource:
        return f"the buckets of {resource['db']}"
    return f"{resource['db']}.{resource['collection']}" if resource["collection"] else str(resource["db"])


def _remedy(session: MongoSession, role: str, job: str, missing: Sequence[tuple[Doc, list[str]]]) -> str:
    """Return the command that grants it to our role; where our user does not have that one, those that make one."""
    privileges = [{"resource": resource, "actions": actions} for resource, actions in missing]
    told = session.client.admin.command("connectionStatus")["authInfo"]
    for held in (role, role := f"{role}_{job}"):
        if {"role": held, "db": "admin"} in told["authenticatedUserRoles"]:
            return _call("admin", {"grantPrivilegesToRole": held, "privileges": privileges})
    user = told["authenticatedUsers"][0]
    made = _call("admin", {"createRole": role, "privileges": privileges, "roles": []})
    grant = {"grantRolesToUser": user["user"], "roles": [{"role": role, "db": "admin"}]}
    return f"{made}; {_call(user['db'], grant)}"


def _call(database: str, what: Doc) -> str:
    return f"db.getSiblingDB({json.dumps(database)}).runCommand({json.dumps(what)})"
