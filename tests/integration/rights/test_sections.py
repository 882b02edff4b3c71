"""Each job does its work with its own section of the role file and nothing else; without that section it says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.harness import rights
from tests.harness.contract import NAME, PLACES, Case, Place, case_of, fleet_of, pairs
from upkeep import connections
from upkeep.fleet import Fleet
from upkeep.jobs import spec
from upkeep.jobs.rights import CHECK
from upkeep.ledger import Ledger
from upkeep.model import FindingStatus, OutcomeStatus, TargetReport, TargetStatus
from upkeep.run import rounds
from upkeep.run.check import check_target
from upkeep.run.runner import Runner

USER: Final = "sectioned"
OWNER: Final = "section_owner"
KEYS: Final = {"logs:*": "alerts:*", "sessions:*": "session:*", "prices:*": "row:*"}
COLLECTIONS: Final = {"archive": ["moved_kept", "metrics_archive"], "series": ["metrics", "kept_metrics"]}
"""What the contract cases call what stands for it in the role files."""
DENIED: Final = re.compile(r"may not|permission|denied|\bgrant\b|hidden from|\bour (role|user)\b", re.IGNORECASE)


@contextmanager
def _postgres(place: Place, mode: str, jobs: Collection[str]) -> Iterator[str]:
    db = place.db
    text = (
        "select relnamespace::regnamespace::text from pg_class where relkind in ('r', 'p') and relowner = %s::regrole"
    )
    ((schema,),) = {*db.execute(text, [OWNER]).fetchall()}
    rights.make_postgres_role(db, USER, "p", {"app_owner": OWNER, "public": schema}, mode=mode, jobs=jobs)
    try:
        yield f"postgresql://{USER}:p@{db.info.host}:{db.info.port}/{db.info.dbname}"
    finally:
        db.execute(f"drop owned by {USER}; drop role {USER}")


@contextmanager
def _tidb(place: Place, mode: str, jobs: Collection[str]) -> Iterator[str]:
    db = place.db
    rights.make_tidb_user(db.connection.cursor(), USER, db.server.password, db.name, mode=mode, jobs=jobs)
    try:
        yield rights.tidb_login(db.server, USER, db.name)
    finally:
        db.run(f"drop user {USER}")


@contextmanager
def _mongo(place: Place, mode: str, jobs: Collection[str]) -> Iterator[str]:
    admin, password = place.db.client.admin, place.db.server.password
    about = {"named": COLLECTIONS, "database": place.db.name}
    rights.make_mongo_user(admin, USER, password, mode=mode, jobs=jobs, **about)
    try:
        yield place.db.admin_uri.replace("upkeep:", f"{USER}:", 1)
    finally:
        admin.command("dropUser", USER)
        admin.command("dropRole", USER)


@contextmanager
def _redis(place: Place, mode: str, jobs: Collection[str]) -> Iterator[str]:
    rights.make_redis_user(place.db.client, USER, place.db.server.password, mode=mode, jobs=jobs, named=KEYS)
    try:
        yield place.db.uri_of(USER)
    finally:
        place.db.client.execute_command("ACL", "DELUSER", USER)


USERS: Final[Mapping[str, Callable[[Place, str, Collection[str]], AbstractContextManager[str]]]] = {
    "postgres": _postgres,
    "tidb": _tidb,
    "mongo": _mongo,
    "redis": _redis,
}
"""Makes a user with the section of what every job needs, and with those of some jobs; gives where it logs in."""


@contextmanager
def filled(engine: str, case: Case, server: Any) -> Iterator[Place]:
    """Give the case's database; on PostgreSQL its tables belong to an ordinary role."""
    with PLACES[engine](server) as place:
        if engine != "postgres":
            case.make(place.db)
            yield place
            return
        give = f"grant create on schema public to {OWNER}; grant create on database {place.db.info.dbname} to {OWNER}"
        place.db.execute(f"create role {OWNER}; {give}; set role {OWNER}")
        try:
            case.make(place.db)
            place.db.execute("reset role")
            yield place
        finally:
            place.db.execute(f"reset role; drop owned by {OWNER} cascade; drop role {OWNER}")


@dataclass
class Bed:
    """A job, its case, and the database that the case has filled."""

    job: str
    case: Case
    engine: str
    place: Place
    ledger: Ledger
    patch: pytest.MonkeyPatch

    def run(self, *jobs: str, mode: str = "enforce") -> tuple[set[str], TargetReport]:
        """Check, and run the job, as a user with these sections; return what is said of rights, and the report."""
        fleet = fleet_of(self.case, self.engine, more=f"mode: {mode}")
        with USERS[self.engine](self.place, mode, ["", *jobs]) as uri:
            self.patch.setenv("AIRFLOW_CONN_TARGET", uri)
            lacks, runner, row = lacking(fleet), Runner(fleet, self.ledger), spec.require(self.job)
            asked = row.asks(self.case.asked)
            run_id = runner.start(self.job, self.case.at, trigger="test", actor="test", request=asked)
            if row.looks_only:
                return lacks, rounds.look_at_all(runner, run_id, [NAME])[0]
            return lacks, runner.run_target(run_id, NAME, apply=True, approve=True, actor="test")


@pytest.fixture
def bed(
    job: str, engine: str, control_database: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bed]:
    case = case_of(job, engine)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    if case.others:
        monkeypatch.setenv("AIRFLOW_CONN_SOURCE", request.getfixturevalue("postgres_server").uri())
    with (
        filled(engine, case, request.getfixturevalue(f"{engine}_server")) as place,
        Ledger.open(connections.resolve(connections.CONTROL), migrate=True) as ledger,
    ):
        yield Bed(job, case, engine, place, ledger, monkeypatch)


def each() -> Any:
    marks = {"tidb": [pytest.mark.tidb]}
    found = [pytest.param(*pair, id="-".join(pair), marks=marks.get(pair[1], [])) for pair in pairs()]
    return pytest.mark.parametrize(("job", "engine"), found)


@each()
def test_a_job_works_with_its_own_section_and_says_what_it_lacks_without(job: str, bed: Bed) -> None:
    before = bed.place.picture()
    if job != "backup":  # none is taken where nothing is changed
        enough, seen = bed.run(job, mode="observe")
        assert [f for f in seen.findings if f.unseen and DENIED.search(f"{f.summary} ({f.remedy})")] == []
        assert f"{job} lacks" not in enough
        assert seen.error is None
        # on PostgreSQL what only an owner may do is not planned
        assert bed.engine == "postgres" or {action.kind for action in seen.actions} == bed.case.kinds
    short, without = bed.run()
    assert bed.place.picture() == before, "without rights nothing is begun"
    assert without.status is not TargetStatus.OK
    assert denied(without), without
    enough, done = bed.run(job)
    assert denied(done) == []
    # what a check finds bad is no matter of rights
    well = {TargetStatus.OK, TargetStatus.UNHEALTHY} if spec.require(job).looks_only else {TargetStatus.OK}
    assert done.status in well, done
    assert {action.kind for action in done.actions} == bed.case.kinds
    assert {outcome.status for outcome in done.outcomes} <= {OutcomeStatus.DONE}
    assert enough < short
    assert f"{job} lacks" not in enough


def lacking(fleet: Fleet) -> set[str]:
    """Return what `upkeep check` says of rights, sentence by sentence."""
    found = check_target(fleet.target(NAME), connections.resolve).findings
    said = [f for f in found if f.check in {CHECK, "rights", "backup_possible"} and f.status is not FindingStatus.OK]
    told = " ".join(f"{f.subject} {f.summary}" for f in said)
    return {*re.findall(r"\w+ lacks", told), *re.findall(r"[\w|]+", " ".join(f"{f.remedy}" for f in said))}


def denied(report: TargetReport) -> list[str]:
    """Return what a report says of rights that are missing."""
    said = [f"{f.summary} ({f.remedy})" for f in report.findings if f.status is not FindingStatus.OK]
    said += [str(o.message) for o in report.outcomes if o.status is not OutcomeStatus.DONE]
    return [text for text in (*said, str(report.error)) if DENIED.search(text)]
