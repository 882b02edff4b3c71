"""The lives of findings in the ledger: written on transitions only, by one at a time; looks, and how they are kept."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from alembic import command

from tests.harness.values import Clock
from upkeep import connections
from upkeep.errors import ConfigurationError
from upkeep.ledger import Ledger, schema
from upkeep.model import Finding, IssueEvent, Severity, TargetStatus, fingerprint
from upkeep.run import findings
from upkeep.run.findings import Look

if TYPE_CHECKING:
    from upkeep.engines import Address

JOB = "partition_creation"
SUBJECT = 'public."a;b""\u202e\U0001f600"'
HOUR = timedelta(hours=1)


def execute(uri: str, statement: str, values: Any = None) -> list[Any]:
    with psycopg.connect(uri, autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def rows(ledger: Finding | str, severity: Severity = Severity.WARNING, **other: Any) -> Finding:
    subject = ledger if isinstance(ledger, str) else ledger.subject
    return Finding.of("default_rows", subject, severity, f"rows lie in {subject}", "move them", **other)


def look(run_id: str, *found: Finding, **other: Any) -> Look:
    return Look(run_id, "pipeline", JOB, found, **{"before": found, **other})


def events(uri: str) -> list[str]:
    return [row[0] for row in execute(uri, "select event from upkeep.issue_event order by id")]


def test_a_life_is_written_when_something_happens(ledger: Ledger, control_database: str) -> None:
    finding = rows(SUBJECT, evidence={"rows": 3})
    (new,) = findings.live(ledger, look("r1", finding)).transitions
    assert (new.event, new.issue.subject, new.issue.first_run) == (IssueEvent.NEW, SUBJECT, "r1")
    written = execute(control_database, "select xmin::text, * from upkeep.issue")
    assert findings.live(ledger, look("r2", rows(SUBJECT, evidence={"rows": 4}))).transitions == ()
    assert execute(control_database, "select xmin::text, * from upkeep.issue") == written
    assert ledger.open_issues("pipeline", JOB) == [new.issue]
    assert ledger.open_issues("pipeline", "data_retention") == ledger.open_issues("other", JOB) == []

    (worse,) = findings.live(ledger, look("r3", rows(SUBJECT, Severity.ERROR))).transitions
    assert (worse.event, worse.issue.severity) == (IssueEvent.CHANGED, Severity.ERROR)
    assert worse.issue.first_seen == new.issue.first_seen
    (gone,) = findings.live(ledger, look("r4")).transitions
    assert (gone.event, gone.issue.gone_run) == (IssueEvent.GONE, "r4")
    assert ledger.open_issues("pipeline", JOB) == []
    (back,) = findings.live(ledger, look("r5", finding)).transitions
    assert (back.event, back.issue.first_run, back.issue.gone_at) == (IssueEvent.RETURNED, "r5", None)
    assert back.issue.first_seen > new.issue.first_seen
    (mended,) = findings.live(ledger, look("r6", before=[finding], done=frozenset({SUBJECT}))).transitions
    assert (mended.event, mended.issue.gone_by) == (IssueEvent.MENDED, "mended")
    assert events(control_database) == ["new", "changed", "gone", "returned", "mended"]


def test_two_at_once_tell_it_once(address: Address, control_database: str) -> None:
    with Ledger.open(address, migrate=True), ThreadPoolExecutor(8) as pool:
        ledgers = [Ledger.open(address, migrate=False) for _ in range(8)]

        def all_see(*found: Finding) -> list[Any]:
            return list(pool.map(lambda n: findings.live(ledgers[n], look(f"r{n}", *found)).transitions, range(8)))

        many = [rows(f"public.t{n}") for n in range(20)]
        for found in (many, (), many):
            assert sum(map(len, all_see(*found))) == 20
        for one in ledgers:
            one.close()
    assert sorted(events(control_database)) == ["gone"] * 20 + ["new"] * 20 + ["returned"] * 20


def test_last_seen_derives_from_looks(ledger: Ledger, clock: Clock, control_database: str) -> None:
    key = fingerprint("pipeline", JOB, rows(SUBJECT))
    findings.live(ledger, look("r1", rows(SUBJECT)))

    def seen(run_id: str, *unseen: str) -> datetime:
        clock.ahead += HOUR
        ledger.record_look(run_id, "pipeline", JOB, at=clock(), status="ok", seen=["default_rows"], unseen=unseen)
        (issue,) = ledger.issues(["pipeline"])
        assert issue.issue.fingerprint == key
        return issue.last_seen

    first = ledger.issues()[0].issue.first_seen
    last = seen("r2")
    assert last - first > HOUR / 2
    assert {seen("r3", "*"), seen("r4", "default_rows"), seen("r5", key)} == {last}
    assert seen("r6", "other", fingerprint("other", JOB, rows(SUBJECT))) > last
    assert ledger.issues(["other"]) == []
    found = execute(control_database, "select seen, unseen, measured from upkeep.look where run_id = 'r3'")
    assert found == [(["default_rows"], ["*"], {})]


def test_looks_are_thinned_to_one_an_hour(address: Address, clock: Clock, control_database: str) -> None:
    start = (datetime.now(UTC) - timedelta(days=5)).replace(minute=0, second=0, microsecond=0)
    execute(
        control_database,
        "create table upkeep.look_old partition of upkeep.look for values "
        f"from ('{start - HOUR}') to ('{start.date() + timedelta(days=2)}')",
    )
    execute(
        control_database,
        "insert into upkeep.look (recorded_at, run_id, target, job, at, status, seen, unseen, measured) "
        "select moment, 'r', target, %s, moment, 'ok', '{}', '{}', '{}' from unnest(array['a', 'b']) as target, "
        "generate_series(%s::timestamptz, now(), '5 minutes') as moment "
        "where moment < %s or moment >= %s",
        [JOB, start, start + 3 * HOUR, datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)],
    )
    young = "select count(*) from upkeep.look where recorded_at > now() - interval '1 day'"
    before = execute(control_database, young)
    Ledger.open(address, migrate=True).close()
    kept = "select target, count(*), min(recorded_at) from upkeep.look_old group by 1 order by 1"
    assert execute(control_database, kept) == [("a", 3, start), ("b", 3, start)]
    assert execute(control_database, young) == before


# -- a person's word ----------------------------------------------------------------------------------------


def test_acknowledging(ledger: Ledger, clock: Clock, control_database: str) -> None:
    findings.live(ledger, look("r1", rows(SUBJECT), rows("public.other")))
    issue = next(i for i in ledger.open_issues("pipeline", JOB) if i.subject == SUBJECT)
    soon = clock() + HOUR
    for wrong, named, until, why in (
        ("is past", issue.fingerprint, clock() - HOUR, "known"),
        ("say why", issue.fingerprint, soon, "  "),
        ("no finding", "zzz", soon, "known"),
        ("no finding", "", soon, "known"),
    ):
        with pytest.raises(ConfigurationError, match=wrong):
            ledger.acknowledge(named, until=until, actor="ada", why=why)
    ledger.acknowledge(issue.fingerprint[:8], until=soon, actor="ada", why="it's \0 known")
    assert events(control_database) == ["new", "new", "acknowledged"]
    told = execute(control_database, "select evidence from upkeep.issue_event order by id desc limit 1")[0][0]
    assert (told["by"], told["why"]) == ("ada", "it's \ufffd known")

    def acknowledged() -> list[str]:
        return [i.issue.subject for i in ledger.issues() if i.acknowledged]

    assert acknowledged() == [SUBJECT]
    assert findings.live(ledger, look("r2", rows(SUBJECT), rows("public.other"))).transitions == ()
    clock.ahead = 2 * HOUR
    assert acknowledged() == []
    clock.ahead = timedelta()
    findings.live(ledger, look("r3", rows(SUBJECT, Severity.INFO), rows("public.other")))
    assert acknowledged() == [SUBJECT], "milder: the word still holds"
    findings.live(ledger, look("r4", rows(SUBJECT, Severity.ERROR), rows("public.other")))
    assert acknowledged() == [], "graver: the word was about less"
    ledger.acknowledge(issue.fingerprint, until=soon, actor="ada", why="known")
    findings.live(ledger, look("r5", rows("public.other")))
    with pytest.raises(ConfigurationError, match="is gone since"):
        ledger.acknowledge(issue.fingerprint, until=soon, actor="ada", why="known")
    findings.live(ledger, look("r6", rows(SUBJECT), rows("public.other")))
    assert acknowledged() == [], "it came back: that is another one"


def test_an_ambiguous_beginning_is_refused(ledger: Ledger, clock: Clock) -> None:
    findings.live(ledger, look("r1", *(rows(f"public.t{n}") for n in range(40))))
    prints = sorted(i.fingerprint for i in ledger.open_issues("pipeline", JOB))
    twice = next(a[0] for a, b in itertools.pairwise(prints) if a[0] == b[0])
    with pytest.raises(ConfigurationError, match="several findings begin with"):
        ledger.acknowledge(twice, until=clock() + HOUR, actor="ada", why="known")


# -- the upgrade ----------------------------------------------------------------------------------------------


def test_a_ledger_in_use_is_upgraded(empty_control_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = connections.parse("upkeep_control", empty_control_database)
    upgrade = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(schema, "VERSION", "0001")
        patched.setattr(command, "upgrade", lambda config, _: upgrade(config, "0001"))
        with Ledger.open(address, migrate=True) as old:
            run_id = old.start_run(JOB, datetime.now(UTC), trigger="cli", actor="ada", options={})
            old.start_target(run_id, "pipeline", "postgres")
            old.save_findings(run_id, "pipeline", [rows(SUBJECT, Severity.ERROR)])
            old.finish_target(run_id, "pipeline", TargetStatus.PARTIAL, at=None, error=None)
            old.finish_run(run_id)
    assert execute(empty_control_database, "select to_regclass('upkeep.issue')") == [(None,)]
    with Ledger.open(address, migrate=True) as ledger:
        (target,) = ledger.report(run_id).targets
        (finding,) = target.findings
        assert (finding.subject, finding.state, finding.first_seen) == (SUBJECT, None, None)
        assert finding.fingerprint == fingerprint("pipeline", JOB, finding)
        (new,) = findings.live(ledger, look("r1", finding)).transitions
        assert new.event is IssueEvent.NEW
        ledger.record_look("r1", "pipeline", JOB, at=datetime.now(UTC), status="ok", seen=[], unseen=[])
    version = execute(empty_control_database, "select version_num from upkeep.alembic_version")
    assert version == [(schema.VERSION,)]
