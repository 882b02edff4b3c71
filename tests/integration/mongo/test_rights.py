"""Each right of the role file, taken away and given back: `upkeep check` names it with the command that grants it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from pymongo.errors import OperationFailure

from local.servers import MongoServer
from tests.harness.jobs import Runs, session
from tests.harness.looking import Looks
from tests.harness.mongo import AT, Place, fresh_place, run, target
from upkeep import connections, rolefiles, settings
from upkeep.fleet import Target
from upkeep.jobs.rights import CHECK
from upkeep.model import Finding
from upkeep.mongo.rights import FILES, ROLES, command
from upkeep.run import rules
from upkeep.run.check import check_target

NAME = "probed"
OF_UPKEEP = {"reachable", "backup_age", "job_age"}
"""Checks that ask nothing of the server."""
DECLARED = """\
events: {retain: {by: at, for: 30 days, then: archive, into: kept}}
series: {timeseries: {time: at}, retain: {for: 30 days, then: delete, requires: nothing}}
"""


@pytest.fixture
def place(mongo_server: MongoServer) -> Iterator[Place]:
    with fresh_place(mongo_server) as made:
        yield made
        admin = made.client.admin
        admin.command("dropUser", NAME)
        for role in admin.command("rolesInfo", 1)["roles"]:
            if role["role"].startswith("upkeep"):
                admin.command("dropRole", role["role"])


def what(mode: str = "enforce") -> Target:
    return target(DECLARED, f"mode: {mode}\nbackup: {{into: /nowhere}}")


def named(place: Place, mode: str = "enforce") -> dict[tuple[str, str], Finding]:
    """Return what is said of rights, by job."""
    found = check_target(what(mode), lambda _: connections.parse("c", uri(place))).findings
    return {(f.subject, f.summary): f for f in found if f.check == CHECK}


def uri(place: Place) -> str:
    return place.admin_uri.replace("upkeep:", f"{NAME}:", 1)


def granted(place: Place, remedy: str | None) -> None:
    """Do what a remedy says."""
    for database, text in re.findall(r'db\.getSiblingDB\("(\w+)"\)\.runCommand\((\{.*?\})\)(?:; |$)', remedy or ""):
        place.client[database].command(json.loads(text))


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_each_right_that_is_missing_is_named_with_what_grants_it(place: Place, mode: str) -> None:
    admin = place.client.admin
    admin.command("createRole", ROLES[mode], privileges=[], roles=[])
    admin.command("createUser", NAME, pwd=place.server.password, roles=[ROLES[mode]])
    for remedy in {finding.remedy for finding in named(place, mode).values()}:
        granted(place, remedy)
    assert named(place, mode) == {}
    (role,) = admin.command("rolesInfo", ROLES[mode], showPrivileges=True)["roles"]
    for privilege in role["privileges"]:
        for action in privilege["actions"]:
            one = [{"resource": privilege["resource"], "actions": [action]}]
            admin.command("revokePrivilegesFromRole", ROLES[mode], privileges=one)
            found = named(place, mode)
            if action == "collMod" and not found:  # another job's right to do so with all collections
                continue
            assert found, one
            for finding in found.values():
                assert [said.partition(" on ")[0] for said in finding.evidence["missing"]] == [action], one
                granted(place, finding.remedy)
            assert named(place, mode) == {}, one


def test_a_target_that_is_called_as_its_collection_lacks_what_that_collection_needs(place: Place) -> None:
    """The role of a reader: nothing may be removed, which is no trifle because of a name."""
    place.client.admin.command(
        "createUser", NAME, pwd=place.server.password, roles=[{"role": "read", "db": place.name}, "clusterMonitor"]
    )
    one = target("events: {retain: {by: at, for: 30 days, then: delete}}").model_copy(update={"name": "events"})
    (lacks,) = (
        f
        for f in check_target(one, lambda _: connections.parse("c", uri(place))).findings
        if f.check == CHECK and "data_retention" in f.summary
    )
    assert (lacks.severity.value, lacks.evidence["missing"]) == ("ERROR", [f"remove on {place.name}.events"])


def test_what_may_not_be_read_leaves_an_observed_target_incomplete(place: Place) -> None:
    """`dbAdmin` may list collections and read none of them."""
    place.client.admin.command(
        "createUser", NAME, pwd=place.server.password, roles=[{"role": "dbAdmin", "db": place.name}, "clusterMonitor"]
    )
    place.db.events.insert_one({"at": None})
    for more in ("", "\nother: {retain: {by: at, for: 30 days, then: delete}}"):
        with session("mongo", uri(place)) as ours:
            seen = Runs("data_retention", target(f"events: {{retain: {{by: at, for: 30 days, then: delete}}}}{more}"))
            plan = rules.observe_only(seen.run(ours, AT, gate=False).plan)
        (unread,) = (f for f in plan.findings if f.check == CHECK)
        assert unread.status.value == "not_available", "a run with such a finding is never fine"
        with session("mongo", uri(place)) as ours:
            overdue = Looks("ttl_verification", seen.what).look(ours)["ttl_overdue", "events"]
        assert overdue.status.value == "not_available"
        place.db.other.insert_one({"at": None})


def test_globs_are_asked_for_as_the_collections_that_they_mean(place: Place) -> None:
    """And a right on any database is none on `local`, whose oplog health looks at."""
    for name in ("logs_a", "logs_b", "logs*"):
        place.db.create_collection(name)
    place.client.admin.command(
        "createUser", NAME, pwd=place.server.password, roles=["readAnyDatabase", {"role": "dbAdmin", "db": place.name}]
    )
    kept = "{retain: {by: at, for: 30 days, then: delete}}"
    many = target(f"logs_?: {kept}\nlogs[*]: {kept}\nnone*: {kept}")
    found = [f for f in check_target(many, lambda _: connections.parse("c", uri(place))).findings if f.check == CHECK]
    lacks = {one for f in found for one in f.evidence["missing"]}
    wanted = {f"remove on {place.name}.{name}" for name in ("logs_a", "logs_b", "logs*")} | {f"remove on {place.name}"}
    assert {one for one in lacks if one.startswith("remove")} == wanted
    assert "find, collStats on local.oplog.rs" in lacks
    for remedy in {f.remedy for f in found}:
        granted(place, remedy)
    after = check_target(many, lambda _: connections.parse("c", uri(place))).findings
    assert [f for f in after if f.check == CHECK] == []


def test_who_may_only_log_in_is_told_what_to_grant_and_nothing_reads_as_fine(place: Place) -> None:
    place.client.admin.command("createUser", NAME, pwd=place.server.password, roles=[])
    place.db.events.insert_one({"at": None})
    assert {f.severity.value for f in named(place).values()} == {"ERROR", "WARNING"}
    with session("mongo", uri(place)) as ours:
        seen = Looks("health_check", what()).look(ours)
        assert [name for (name, _), f in seen.items() if f.status.value == "ok" and name not in OF_UPKEEP] == []
        with pytest.raises(OperationFailure, match="not authorized"):
            Looks("ttl_verification", what()).look(ours)
        with pytest.raises(OperationFailure, match="not authorized"):
            run(ours, what(), "data_retention")
    for remedy in {finding.remedy for finding in named(place).values()}:
        granted(place, remedy)
    assert named(place) == {}


def test_without_local_and_parameters_it_works_and_says_what_it_cannot_see(place: Place) -> None:
    """As services have it: no right on `local`, none to ask for parameters."""
    admin = place.client.admin
    admin.command("createUser", NAME, pwd=place.server.password, roles=[{"role": "readWrite", "db": place.name}])
    with session("mongo", uri(place)) as ours:
        found = Looks("health_check", what()).look(ours)
        assert found["oplog_window", "server"].status.value == "not_available"
        assert "clusterMonitor" in found["oplog_window", "server"].summary


def test_the_page_names_each_right() -> None:
    text = (settings.checkout() / "docs" / "rights.md").read_text(encoding="utf-8")
    told = set(re.findall(r"\w+", text.partition("## MongoDB")[2].partition("\n## ")[0]))
    for path in FILES.values():
        for section in rolefiles.sections("mongo", path):
            assert {a for p in command(section)["privileges"] for a in p["actions"]} <= told
