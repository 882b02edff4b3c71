from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.harness import least, values
from tests.harness.values import Clock
from upkeep import connections
from upkeep.errors import ApprovalRefusedError, ConfigurationError, LedgerError
from upkeep.ledger import NOT_FINISHED, ApprovalState, Ledger, schema
from upkeep.model import (
    Action,
    Artefact,
    Finding,
    FindingStatus,
    GateResult,
    Observation,
    Outcome,
    OutcomeStatus,
    Plan,
    ReasonCode,
    Requirement,
    Severity,
    TargetStatus,
)

if TYPE_CHECKING:
    from local.servers import PostgresServer
    from upkeep.engines import Address

AT = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
JOB = "data_retention"


@pytest.fixture
def empty_address(empty_control_database: str) -> Address:
    return connections.parse("upkeep_control", empty_control_database)


def begin(ledger: Ledger, job: str = JOB, target: str = "pipeline", **options: Any) -> str:
    run_id = ledger.start_run(job, AT, trigger="cli", actor="ada", options=options)
    ledger.start_target(run_id, target, "postgres")
    return run_id


def action(
    name: str = "p_2026_01", kind: str = "detach_partition", *, requires: str = "approval", **args: Any
) -> Action:
    return Action.make(
        kind=kind,
        subject=f"public.{name}",
        args={"name": name, **args},
        statements=(f"alter table … detach partition {name} concurrently",),
        reason="older than 30 days",
        destructive=True,
        precondition="still attached",
        requires=Requirement(kind=requires),
    )


def plan(*actions: Action, target: str = "pipeline", job: str = JOB) -> Plan:
    return Plan.make(observation(target=target, job=job), actions)


def observation(target: str = "pipeline", job: str = JOB, **frames: Any) -> Observation:
    return values.observation(
        target=target, engine="postgres", job=job, identity="postgres:7:1", version="17.2", at=AT, frames=frames
    )


def planned(ledger: Ledger, *actions: Action, target: str = "pipeline", job: str = JOB) -> tuple[str, Plan]:
    run_id = begin(ledger, job=job, target=target)
    made = plan(*(actions or (action(),)), target=target, job=job)
    ledger.save_plan(run_id, made)
    return run_id, made


def done(what: Action, **evidence: Any) -> Outcome:
    return Outcome(action_id=what.id, status=OutcomeStatus.DONE, seconds=0.5, rows=3, evidence=evidence)


# -- tables ---------------------------------------------------------------------------------------------


def test_without_tables_a_task_is_told_to_init(empty_address: Address) -> None:
    with pytest.raises(LedgerError, match="does not exist yet; run `upkeep init`"):
        Ledger.open(empty_address, migrate=False)


def test_opening_again_changes_nothing(ledger: Ledger, address: Address) -> None:
    run_id = begin(ledger)
    for migrate in (True, False):
        with Ledger.open(address, migrate=migrate) as again:
            assert again.run(run_id).job == JOB


@pytest.mark.parametrize(("found", "words"), [("0000", "run `upkeep init`"), ("9999", "newer than this Upkeep")])
def test_another_version_is_refused(
    ledger: Ledger, address: Address, control_database: str, found: str, words: str
) -> None:
    execute(control_database, "update upkeep.alembic_version set version_num = %s", [found])
    with pytest.raises(LedgerError, match=words):
        Ledger.open(address, migrate=False)


def test_a_newer_ledger_is_not_migrated(ledger: Ledger, address: Address, control_database: str) -> None:
    execute(control_database, "update upkeep.alembic_version set version_num = '9999'")
    with pytest.raises(LedgerError, match="update Upkeep here"):
        Ledger.open(address, migrate=True)


def test_eight_that_migrate_at_once(empty_address: Address) -> None:
    gate = threading.Barrier(8)

    def start(_number: int) -> str:
        gate.wait()
        with Ledger.open(empty_address, migrate=True) as opened:
            return begin(opened)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 8


def test_processes_that_migrate_at_once(empty_address: Address, empty_control_database: str) -> None:
    script = textwrap.dedent(
        """
        import sys
        from upkeep import connections
        from upkeep.ledger import Ledger
        empty_address = connections.parse("upkeep_control", sys.argv[1])
        sys.stdin.readline()  # all start together
        with Ledger.open(empty_address, migrate=True) as ledger:
            print(len(ledger.runs()))
        """
    )
    command = [sys.executable, "-c", script, empty_control_database]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [process.communicate(timeout=60) for process in processes]
    assert [(out.strip(), err) for out, err in results] == [("0", "")] * 3


def test_a_failed_migration_leaves_nothing(empty_address: Address, empty_control_database: str) -> None:
    execute(empty_control_database, "create schema upkeep")
    execute(empty_control_database, "create table upkeep.lease (in_the_way int)")
    with pytest.raises(LedgerError, match="already exists"):
        Ledger.open(empty_address, migrate=True)
    assert execute(
        empty_control_database, "select relname from pg_class where relnamespace = 'upkeep'::regnamespace"
    ) == [("lease",)]
    execute(empty_control_database, "drop table upkeep.lease")
    Ledger.open(empty_address, migrate=True).close()


def test_partitions_of_this_and_the_next_three_months(ledger: Ledger, address: Address, control_database: str) -> None:
    bounds = """
        select p.relname, count(*), min(pg_get_expr(c.relpartbound, c.oid)), max(pg_get_expr(c.relpartbound, c.oid))
        from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
        where p.relnamespace = 'upkeep'::regnamespace and p.relkind = 'p' group by 1 order by 1
    """
    found = execute(control_database, bounds)
    monthly = ["action_event", "approval", "backup", "finding", "gate", "issue_event", "observation", "plan"]
    assert [row[0] for row in found if row[0] != "look"] == monthly
    month = datetime.now(UTC).strftime("%Y-%m-01 00:00:00+00")
    months = [row for row in found if row[0] != "look"]
    assert all(row[1] == 4 and row[2].startswith(f"FOR VALUES FROM ('{month}')") for row in months)
    (look,) = [row for row in found if row[0] == "look"]  # by day, from now to the same end
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    last = datetime.fromisoformat(months[0][3].split("'")[3])
    assert look[1] == (last - first).days
    assert look[2].startswith(f"FOR VALUES FROM ('{first:%Y-%m-%d} 00:00:00+00')")
    assert look[3].endswith(f"TO ('{last:%Y-%m-%d} 00:00:00+00')")

    execute(control_database, f"drop table upkeep.gate_p{datetime.now(UTC):%Y%m}")  # the job was off for months
    run_id = begin(ledger)
    gate = GateResult(suite="s", stage="before", success=True, evaluated=1)
    with pytest.raises(LedgerError, match="no partition for this month; run `upkeep init`"):
        ledger.save_gate(run_id, "pipeline", gate)
    Ledger.open(address, migrate=True).close()
    ledger.save_gate(run_id, "pipeline", gate)
    assert execute(control_database, bounds) == found


def test_partitions_made_by_somebody_else_are_left_alone(
    ledger: Ledger, address: Address, control_database: str
) -> None:
    execute(control_database, f"drop table upkeep.gate_p{datetime.now(UTC):%Y%m}")
    today = datetime.now(UTC).date()
    execute(
        control_database,
        "create table upkeep.gate_by_hand partition of upkeep.gate for values "
        f"from ('{today - timedelta(days=1)}') to ('{today + timedelta(days=2)}')",
    )
    Ledger.open(address, migrate=True).close()
    ledger.save_gate(begin(ledger), "pipeline", GateResult(suite="s", stage="before", success=True, evaluated=1))


def test_a_role_that_may_only_use_the_ledger(ledger: Ledger, address: Address, control_database: str) -> None:
    admin = least.whole(control_database)
    execute(admin, "drop role if exists upkeep_task")
    execute(admin, "create role upkeep_task login password 'x'")
    role = connections.parse("upkeep_control", control_database)
    role = type(role)(**{**vars_of(role), "user": "upkeep_task", "password": "x"})
    try:
        with pytest.raises(LedgerError, match="grant it usage on schema upkeep"):
            Ledger.open(role, migrate=False)
        execute(admin, "grant usage on schema upkeep to upkeep_task")
        execute(admin, "grant select, insert, update on all tables in schema upkeep to upkeep_task")
        execute(admin, "grant usage on all sequences in schema upkeep to upkeep_task")
        with Ledger.open(role, migrate=False) as opened:
            _, made = planned(opened)
            opened.approve(made.plan_id, actor="ada", how="ui")
        execute(admin, f"alter table upkeep.gate_p{datetime.now(UTC):%Y%m} rename to gate_other_name")
        Ledger.open(role, migrate=True).close()  # nothing to create, so nothing that needs the owner
    finally:
        execute(admin, "drop owned by upkeep_task")
        execute(admin, "drop role upkeep_task")


def vars_of(address: Address) -> dict[str, Any]:
    return {name: getattr(address, name) for name in address.__dataclass_fields__}


# -- the connection -------------------------------------------------------------------------------------


def execute(uri: str, statement: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri, autocommit=True) as connection:
        cursor = connection.execute(statement, values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


END_LEDGER_SESSIONS = """
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where application_name = 'upkeep ledger' and datname = current_database()
"""


def test_a_connection_lost_while_idle_is_opened_again(ledger: Ledger, control_database: str) -> None:
    run_id = begin(ledger)
    for _ in range(2):
        execute(control_database, END_LEDGER_SESSIONS)
        ledger.finish_target(run_id, "pipeline", TargetStatus.OK, at=AT, error=None)
        execute(control_database, END_LEDGER_SESSIONS)
        assert ledger.runs()[0].targets == {"pipeline": "ok"}
        execute(control_database, END_LEDGER_SESSIONS)
        ledger.save_plan(run_id, plan(action()))
    assert execute(control_database, "select count(*) from upkeep.plan") == [(2,)]


def test_no_ledger_no_change(own_postgres_server: PostgresServer) -> None:
    uri = own_postgres_server.uri()
    address = connections.parse("upkeep_control", uri)
    with Ledger.open(address, migrate=True) as ledger:
        run_id, made = planned(ledger)
        own_postgres_server.stop()
        for attempt in (
            lambda: ledger.intend(run_id, "pipeline", JOB, made.actions[0]),
            lambda: ledger.record(run_id, "pipeline", done(made.actions[0])),
            lambda: ledger.use_approval(made.plan_id, run_id=run_id),
            lambda: ledger.paused("pipeline"),
            lambda: Ledger.open(address, migrate=False),
        ):
            with pytest.raises(LedgerError) as refused:
                attempt()
            assert "nothing" in str(refused.value)
            assert not address.password or address.password not in str(refused.value)
        own_postgres_server.start()
        ledger.intend(run_id, "pipeline", JOB, made.actions[0])
        assert len(ledger.memory("pipeline", JOB).intents) == 1


def test_values_never_reach_the_message(ledger: Ledger, control_database: str) -> None:
    execute(control_database, "alter table upkeep.run_target add constraint short check (length(error) < 5)")
    run_id = begin(ledger)
    with pytest.raises(LedgerError) as refused:
        ledger.finish_target(run_id, "pipeline", TargetStatus.FAILED, at=None, error="token=hunter2")
    assert "short" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


# -- runs and their contents ----------------------------------------------------------------------------


def test_a_run_and_its_report(ledger: Ledger) -> None:
    run_id = begin(ledger, target="b", ticket="x\0y")
    ledger.start_target(run_id, "a", "tidb")
    first, second = action("one"), action("two", requires="nothing")
    ledger.save_observation(run_id, "b", "before", observation(target="b", rows=[{"upper": AT}]))
    ledger.save_observation(run_id, "b", "before", observation(target="b", rows=[{"upper": AT}, {"upper": None}]))
    ledger.save_gate(run_id, "b", GateResult(suite="s.before", stage="before", success=False, evaluated=1))
    ledger.save_gate(run_id, "b", GateResult(suite="s.before", stage="before", success=True, evaluated=2))
    made = plan(first, second, target="b")
    ledger.save_plan(run_id, made)
    skipped = Outcome(action_id=first.id, status=OutcomeStatus.SKIPPED, reason_code=ReasonCode.NEEDS_APPROVAL)
    ledger.record(run_id, "b", skipped)
    ledger.intend(run_id, "b", JOB, second)
    ledger.record(run_id, "b", done(second, deleted=3, copied=3))
    ledger.finish_target(run_id, "b", TargetStatus.AWAITING_APPROVAL, at=AT, error=None)
    ledger.finish_target(run_id, "a", TargetStatus.UNREACHABLE, at=None, error="no route\0 to host")
    ledger.finish_run(run_id)

    assert ledger.load_observation(run_id, "b", "before").frames["rows"] == [{"upper": AT}, {"upper": None}]
    assert ledger.load_plan(run_id, "b") == made
    gate = ledger.load_gate(run_id, "b", "before")
    assert gate is not None
    assert gate.evaluated == 2
    assert ledger.load_gate(run_id, "b", "after") is None

    report = ledger.report(run_id[:-3])
    assert report.run_id == run_id
    assert report.at == AT
    one, two = report.targets
    assert (one.target, one.status, one.error, one.actions) == ("a", "unreachable", "no route\ufffd to host", ())
    assert (two.target, two.status, two.plan_id, two.at) == ("b", "awaiting_approval", made.plan_id, AT)
    assert two.actions == made.actions
    assert two.outcomes == (skipped, done(second, deleted=3, copied=3)) == tuple(ledger.outcomes(run_id, "b"))
    assert [g.evaluated for g in two.gates] == [2]

    record = ledger.run(run_id)
    assert record.options == {"ticket": "x\ufffdy"}
    assert record.started_at <= (record.finished_at or AT)
    assert ledger.runs()[0].targets == {"a": "unreachable", "b": "awaiting_approval"}


def test_a_target_without_an_end(ledger: Ledger) -> None:
    run_id = begin(ledger)
    going = ledger.report(run_id).targets[0]
    assert (going.status, going.error is not None and "not finished yet" in going.error) == (TargetStatus.PARTIAL, True)
    assert ledger.runs()[0].targets == {"pipeline": NOT_FINISHED}
    ledger.finish_run(run_id)
    killed = ledger.report(run_id).targets[0]
    assert killed.status is TargetStatus.FAILED
    assert killed.error is not None
    assert "never finished" in killed.error


def test_a_cleared_task_begins_its_target_again(ledger: Ledger) -> None:
    run_id = begin(ledger)
    ledger.finish_target(run_id, "pipeline", TargetStatus.FAILED, at=AT, error="broken")
    ledger.start_target(run_id, "pipeline", "postgres")
    assert ledger.runs()[0].targets == {"pipeline": NOT_FINISHED}
    ledger.finish_target(run_id, "pipeline", TargetStatus.OK, at=AT, error=None)
    assert ledger.report(run_id).targets[0].error is None


def test_the_newest_runs_first_and_the_last_success(ledger: Ledger, clock: Clock) -> None:
    ids = []
    for hours, status in ((0, TargetStatus.OK), (1, TargetStatus.NOTHING_TO_DO), (2, TargetStatus.AWAITING_APPROVAL)):
        clock.ahead = timedelta(hours=hours)
        ids.append(begin(ledger))
        ledger.finish_target(ids[-1], "pipeline", status, at=AT, error=None)
    begin(ledger, job="partition_creation")
    assert [r.run_id for r in ledger.runs(job=JOB)] == ids[::-1]
    assert sorted(ids) == ids
    assert [r.run_id for r in ledger.runs(limit=2, job=JOB)] == ids[:0:-1]
    success = ledger.last_success(JOB, "pipeline")
    assert success is not None
    assert abs(success - (datetime.now(UTC) + timedelta(hours=1))) < timedelta(minutes=10)
    assert ledger.last_success(JOB, "other") is None
    assert ledger.last_success("partition_creation", "pipeline") is None


@pytest.mark.parametrize("prefix", ["", "2026x", "%", "_"])
def test_unknown_ids_are_configuration_errors(ledger: Ledger, prefix: str) -> None:
    planned(ledger)
    for attempt in (lambda: ledger.report(prefix), lambda: ledger.find_plan(prefix)):
        with pytest.raises(ConfigurationError):
            attempt()
    assert ledger.done_actions(prefix) == []


def test_an_ambiguous_beginning_is_refused(ledger: Ledger) -> None:
    ids = [begin(ledger), begin(ledger)]
    with pytest.raises(ConfigurationError, match="several runs"):
        ledger.report(ids[0][:12])
    wanted: dict[str, Plan] = {}
    for number in range(40):  # two plans whose ids begin with the same digit
        _, made = planned(ledger, action(f"p{number}"))
        other = wanted.setdefault(made.plan_id[0], made)
        if other is not made:
            with pytest.raises(ConfigurationError, match="several plans"):
                ledger.find_plan(made.plan_id[0])
            break
    assert ledger.find_plan(made.plan_id[:12])[1] == made


def test_what_is_missing_is_said(ledger: Ledger) -> None:
    run_id = begin(ledger)
    with pytest.raises(ConfigurationError, match="has not observed"):
        ledger.load_observation(run_id, "pipeline", "after")
    with pytest.raises(ConfigurationError, match="has no plan"):
        ledger.load_plan(run_id, "pipeline")
    with pytest.raises(LedgerError, match="has no target"):
        ledger.finish_target(run_id, "other", TargetStatus.OK, at=None, error=None)
    with pytest.raises(LedgerError, match="there is no run"):
        ledger.finish_run("nothing")


def finding(check: str, summary: str, subject: str = "public.t") -> Finding:
    return Finding(
        check=check, subject=subject, status=FindingStatus.FINDING, severity=Severity.WARNING, summary=summary
    )


def test_later_findings_replace_what_was_said_about_the_same(ledger: Ledger) -> None:
    run_id = begin(ledger)
    made = Plan.make(observation(), [], [finding("gap", "from the plan"), finding("plan_only", "kept")])
    ledger.save_plan(run_id, made)
    ledger.save_findings(
        run_id, "pipeline", [finding("gap", "first"), finding("gap", "second"), finding("late", "old")]
    )
    ledger.save_findings(run_id, "pipeline", [])
    ledger.save_findings(run_id, "pipeline", [finding("late", "new"), finding("late", "other", subject="public.u")])
    found = [(f.check, f.summary) for f in ledger.report(run_id).targets[0].findings]
    assert found == [("gap", "first"), ("gap", "second"), ("late", "new"), ("late", "other"), ("plan_only", "kept")]


def test_hostile_names_are_only_values(ledger: Ledger) -> None:
    name = "x'; drop schema upkeep cascade; -- %s %(x)s {} \\ \""
    run_id = begin(ledger, target=name)
    made = plan(action(name), target=name)
    ledger.save_plan(run_id, made)
    ledger.approve(made.plan_id, actor=name, how="cli")
    ledger.pause(name, actor=name, reason=name)
    assert ledger.report(run_id).targets[0].target == name
    assert [p.decided_by for p in ledger.pending()] == [name]
    assert name in (ledger.paused(name) or "")


# -- memory ---------------------------------------------------------------------------------------------


def test_what_a_killed_run_had_begun(ledger: Ledger) -> None:
    begun, finished, failed = action("begun", batch=1), action("finished"), action("failed")
    killed = begin(ledger)
    for each in (begun, finished, failed):
        ledger.intend(killed, "pipeline", JOB, each)
        ledger.note(killed, "pipeline", each.id, {"moved": 1, "when": AT})
    ledger.note(killed, "pipeline", begun.id, {"moved": 2})
    ledger.record(killed, "pipeline", done(finished))
    ledger.record(killed, "pipeline", Outcome(action_id=failed.id, status=OutcomeStatus.FAILED))

    (intent,) = ledger.memory("pipeline", JOB).intents
    assert intent["run_id"] == killed
    assert intent["notes"] == [{"moved": 1, "when": AT.isoformat()}, {"moved": 2}]
    assert datetime.fromisoformat(intent["intended_at"]).tzinfo is not None
    kept = {key: value for key, value in intent.items() if key in Action.model_fields}
    assert Action.model_validate(kept) == begun
    assert ledger.memory("pipeline", "partition_creation").intents == []
    assert ledger.memory("other", JOB).intents == []

    later = begin(ledger)  # could not do it either: what the killed run left behind is still there
    ledger.record(later, "pipeline", Outcome(action_id=begun.id, status=OutcomeStatus.SKIPPED))
    assert [i["run_id"] for i in ledger.memory("pipeline", JOB).intents] == [killed]
    ledger.intend(later, "pipeline", JOB, begun)
    assert [i["run_id"] for i in ledger.memory("pipeline", JOB).intents] == [killed, later]
    ledger.record(later, "pipeline", done(begun))
    assert ledger.memory("pipeline", JOB).intents == []


def test_a_cleared_task_intends_again(ledger: Ledger) -> None:
    run_id, again = begin(ledger), action()
    ledger.intend(run_id, "pipeline", JOB, again)
    ledger.note(run_id, "pipeline", again.id, {"batch": 1})
    ledger.intend(run_id, "pipeline", JOB, again)
    (intent,) = ledger.memory("pipeline", JOB).intents
    assert intent["notes"] == [{"batch": 1}]


def do(ledger: Ledger, what: Action, target: str = "pipeline", **evidence: Any) -> str:
    run_id = begin(ledger, target=target)
    ledger.intend(run_id, target, JOB, what)
    ledger.record(run_id, target, done(what, **evidence))
    return run_id


def test_detached_partitions_are_remembered_until_dropped_or_back(ledger: Ledger) -> None:
    for oid in (101, 102, 103):
        do(ledger, action(f"p{oid}"), oid=oid, bounds=["a", "b"])
    do(ledger, action("p101"), target="other", oid=101)
    do(ledger, action("no_oid"))
    do(ledger, action("p9", kind="drop_partition"), oid=102)
    do(ledger, action("p9", kind="delete_rows"), oid=103)
    detached = ledger.memory("pipeline", JOB).detached
    assert sorted(detached) == ["101", "103"]
    assert detached["101"]["bounds"] == ["a", "b"]
    assert datetime.fromisoformat(detached["101"]["recorded_at"]) <= datetime.now(UTC)

    do(ledger, action("p101", kind="reattach_partition"), oid=101)
    assert sorted(ledger.memory("pipeline", JOB).detached) == ["103"]
    do(ledger, action("p101"), oid=101)  # and detached once more
    assert sorted(ledger.memory("pipeline", JOB).detached) == ["101", "103"]


def test_undoing(ledger: Ledger) -> None:
    first, second = action("p1"), action("p2")
    run_id = begin(ledger)
    for oid, each in enumerate((first, second)):
        ledger.intend(run_id, "pipeline", JOB, each)
        ledger.record(run_id, "pipeline", done(each, oid=oid))
    found = ledger.done_actions(run_id[:-2])
    assert [(d.action, d.outcome.evidence, d.job) for d in found] == [
        (second, {"oid": 1}, JOB),
        (first, {"oid": 0}, JOB),
    ]
    assert [d.action for d in ledger.done_actions(first.id)] == [first]

    do(ledger, action("p1", kind="reattach_partition", undoes=first.id))  # its evidence has no oid
    assert [d.action for d in ledger.done_actions(run_id)] == [second]
    assert ledger.done_actions(first.id) == []
    assert sorted(ledger.memory("pipeline", JOB).detached) == ["1"]

    do(ledger, second, target="other", oid=1)
    with pytest.raises(ConfigurationError, match="several targets"):
        ledger.done_actions(second.id)


# -- approval -------------------------------------------------------------------------------------------


def test_only_what_waits_for_a_person_is_pending(ledger: Ledger) -> None:
    planned(ledger, action(requires="nothing"), target="needs nobody")
    planned(ledger, action(requires="backup"), target="needs a backup")
    run_id, made = planned(ledger, action("a"), action("b"), action("c", requires="nothing"))
    (entry,) = ledger.pending()
    assert (entry.plan, entry.run_id, entry.state) == (made, run_id, ApprovalState.AWAITING)
    ledger.record(run_id, "pipeline", done(made.actions[0]))
    assert len(ledger.pending()) == 1
    ledger.record(run_id, "pipeline", Outcome(action_id=made.actions[1].id, status=OutcomeStatus.FAILED))
    assert ledger.pending() == []
    again, _ = planned(ledger, action("a"), action("b"), action("c", requires="nothing"))
    assert [(p.run_id, p.plan.plan_id) for p in ledger.pending()] == [(again, made.plan_id)]


def test_an_approval_is_used_once(ledger: Ledger) -> None:
    run_id, made = planned(ledger)
    with pytest.raises(ApprovalRefusedError, match="no approval of plan"):
        ledger.use_approval(made.plan_id, run_id=run_id)
    ledger.approve(made.plan_id, actor="ada", how="ui")
    (entry,) = ledger.pending()
    assert (entry.state, entry.decided_by) == (ApprovalState.GRANTED, "ada")
    ledger.use_approval(made.plan_id, run_id=run_id)
    assert ledger.pending() == []
    with pytest.raises(ApprovalRefusedError, match=f"used by run {run_id}"):
        ledger.use_approval(made.plan_id, run_id=run_id)  # a cleared task reuses nothing
    for decide in (ledger.approve, ledger.reject):
        with pytest.raises(ApprovalRefusedError, match="plan again"):
            decide(made.plan_id, actor="ada", how="ui")


def test_two_grants_do_not_make_two_uses(ledger: Ledger) -> None:
    run_id, made = planned(ledger)
    for actor in ("ada", "grace"):
        ledger.approve(made.plan_id, actor=actor, how="ui")
    ledger.use_approval(made.plan_id, run_id=run_id)
    with pytest.raises(ApprovalRefusedError, match="counts once"):
        ledger.use_approval(made.plan_id, run_id=run_id)


def test_the_same_plan_planned_again_needs_its_own_approval(ledger: Ledger) -> None:
    first, made = planned(ledger)
    ledger.approve(made.plan_id, actor="ada", how="ui")
    ledger.use_approval(made.plan_id, run_id=first)
    second, same = planned(ledger)
    assert same.plan_id == made.plan_id
    assert [(p.run_id, p.state) for p in ledger.pending()] == [(second, ApprovalState.AWAITING)]
    with pytest.raises(ApprovalRefusedError, match="counts once"):
        ledger.use_approval(made.plan_id, run_id=second)
    ledger.approve(made.plan_id, actor="ada", how="ui")
    ledger.use_approval(made.plan_id, run_id=second)


def test_a_run_that_carries_an_approved_plan_plans_nothing_new(ledger: Ledger) -> None:
    origin, made = planned(ledger)
    ledger.approve(made.plan_id, actor="ada", how="ui")
    carrier = begin(ledger, plan_id=made.plan_id, planned_by=origin)
    part = made.model_copy(update={"findings": ()})
    ledger.save_plan(carrier, part)
    assert ledger.load_plan(carrier, "pipeline") == part
    assert ledger.find_plan(made.plan_id)[0] == origin
    ledger.use_approval(made.plan_id, run_id=carrier)
    ledger.save_plan(begin(ledger, planned_by=origin), part)
    assert ledger.pending() == []
    with pytest.raises(ApprovalRefusedError, match="used by run"):
        ledger.approve(made.plan_id, actor="ada", how="ui")

    newer, other = planned(ledger, action("grown"))
    ledger.save_plan(begin(ledger, planned_by=origin), part)  # an old plan carried does not come back
    with pytest.raises(ApprovalRefusedError, match=f"superseded by plan {other.plan_id} of run {newer}"):
        ledger.approve(made.plan_id, actor="ada", how="ui")
    assert [p.plan.plan_id for p in ledger.pending()] == [other.plan_id]


def test_a_look_at_what_would_be_done_supersedes_nothing_but_may_be_approved(ledger: Ledger) -> None:
    _, real = planned(ledger, action("a"))
    look = plan(action("a"), action("b"), target="pipeline", job=JOB)
    looking = begin(ledger, plan_only=True)
    ledger.save_plan(looking, look)
    assert real.plan_id in [p.plan.plan_id for p in ledger.pending()]
    ledger.approve(real.plan_id, actor="ada", how="ui")
    ledger.approve(look.plan_id, actor="ada", how="cli")
    ledger.use_approval(look.plan_id, run_id=looking)
    newer, grown = planned(ledger, action("c"))
    with pytest.raises(ApprovalRefusedError, match=f"superseded by plan {grown.plan_id} of run {newer}"):
        ledger.use_approval(real.plan_id, run_id=newer)


def test_what_became_of_each_plan(ledger: Ledger, clock: Clock) -> None:
    """Planned, approved, used, rejected, superseded, expired: each plan says so, and so does its run's report."""
    first, used = planned(ledger, action("a"))
    assert fate(ledger, used) == ("awaiting", None, None, None)
    ledger.approve(used.plan_id, actor="ada", how="ui")
    assert fate(ledger, used) == ("granted", "ada", None, None)
    carrier = begin(ledger, plan_id=used.plan_id, planned_by=first)
    ledger.save_plan(carrier, used)
    ledger.use_approval(used.plan_id, run_id=carrier)
    second, rejected = planned(ledger, action("b"))
    ledger.reject(rejected.plan_id, actor="grace", how="cli", reason="quarter end")
    _, passed = planned(ledger, action("c"))
    fourth, late = planned(ledger, action("d"))
    ledger.approve(late.plan_id, actor="ada", how="ui")
    assert fate(ledger, used) == ("used", "ada", carrier, late.plan_id)
    assert fate(ledger, rejected) == ("rejected", "grace", None, late.plan_id)
    assert fate(ledger, passed) == ("superseded", None, fourth, late.plan_id)
    assert set(ledger.answered("pipeline", JOB)) == {used.plan_id, rejected.plan_id, passed.plan_id}
    clock.ahead = timedelta(hours=25)
    assert fate(ledger, late) == ("expired", "ada", None, None)
    assert ledger.fate("0" * 20) is None
    assert ledger.fates([]) == {}
    for run_id, plan_id in ((second, rejected.plan_id), (carrier, used.plan_id)):
        (target,) = ledger.report(run_id).document()["targets"]
        assert target["plan_state"] == ledger.fates([plan_id])[plan_id].document()


def fate(ledger: Ledger, made: Plan) -> tuple[Any, ...]:
    found = ledger.fate(made.plan_id)
    assert found is not None
    return found.state, found.by, found.run_id, found.superseded_by


def test_a_newer_plan_supersedes(ledger: Ledger) -> None:
    _, old = planned(ledger, action("a"))
    planned(ledger, action("a"), target="other")
    planned(ledger, action("a"), job="reindex")
    ledger.approve(old.plan_id, actor="ada", how="ui")
    run_id, grown = planned(ledger, action("a"), action("b"))
    for attempt in (
        lambda: ledger.use_approval(old.plan_id, run_id=run_id),
        lambda: ledger.approve(old.plan_id, actor="ada", how="ui"),
        lambda: ledger.reject(old.plan_id, actor="ada", how="ui"),
    ):
        with pytest.raises(ApprovalRefusedError, match=f"superseded by plan {grown.plan_id} of run {run_id}"):
            attempt()
    assert {(p.plan.target, p.plan.job, p.plan.plan_id == old.plan_id) for p in ledger.pending()} == {
        ("pipeline", JOB, False),
        ("other", JOB, False),
        ("pipeline", "reindex", False),
    }


def test_a_plan_with_nothing_to_do_supersedes_too(ledger: Ledger) -> None:
    run_id, old = planned(ledger)
    ledger.approve(old.plan_id, actor="ada", how="ui")
    ledger.save_plan(begin(ledger), plan())
    assert ledger.pending() == []
    with pytest.raises(ApprovalRefusedError, match="superseded"):
        ledger.use_approval(old.plan_id, run_id=run_id)


def test_an_approval_expires_after_a_day(ledger: Ledger, clock: Clock) -> None:
    run_id, made = planned(ledger)
    ledger.approve(made.plan_id, actor="ada", how="ui")
    clock.ahead = timedelta(hours=24, seconds=1)
    (entry,) = ledger.pending()
    assert entry.state is ApprovalState.EXPIRED
    with pytest.raises(ApprovalRefusedError, match="expired at"):
        ledger.use_approval(made.plan_id, run_id=run_id)
    ledger.approve(made.plan_id, actor="grace", how="cli")
    clock.ahead = timedelta(hours=47, minutes=59)
    ledger.use_approval(made.plan_id, run_id=run_id)


def test_a_rejection_holds_for_a_day(ledger: Ledger, clock: Clock) -> None:
    run_id, made = planned(ledger)
    ledger.approve(made.plan_id, actor="ada", how="ui")
    ledger.reject(made.plan_id, actor="grace", how="cli", reason="quarter end")
    assert ledger.pending() == []
    with pytest.raises(ApprovalRefusedError, match=r"rejected by grace .*quarter end"):
        ledger.use_approval(made.plan_id, run_id=run_id)
    clock.ahead = timedelta(hours=6)
    planned(ledger)
    assert ledger.pending() == []
    with pytest.raises(ApprovalRefusedError, match="rejected by grace"):
        ledger.approve(made.plan_id, actor="ada", how="ui")
    changed, other = planned(ledger, action("changed"))
    assert [p.run_id for p in ledger.pending()] == [changed]
    clock.ahead = timedelta(hours=24, seconds=1)
    again, _ = planned(ledger)
    assert [(p.run_id, p.state) for p in ledger.pending()] == [(again, ApprovalState.AWAITING)]
    assert other.plan_id != made.plan_id
    ledger.approve(made.plan_id, actor="ada", how="ui")
    ledger.use_approval(made.plan_id, run_id=again)


@pytest.mark.parametrize("beginning", ["", "{}"])
def test_only_exactly_this_plan(ledger: Ledger, beginning: str) -> None:
    run_id, made = planned(ledger)
    ledger.approve(made.plan_id, actor="ada", how="ui")
    for plan_id in (beginning.format(made.plan_id[:8]), made.plan_id.upper() + "x"):
        with pytest.raises(ApprovalRefusedError, match="no plan"):
            ledger.use_approval(plan_id, run_id=run_id)


def test_eight_race_for_one_approval(ledger: Ledger, address: Address) -> None:
    _, made = planned(ledger)
    for _ in range(5):
        planned(ledger)  # the same plan again: a new grant each time
        ledger.approve(made.plan_id, actor="ada", how="ui")
        gate = threading.Barrier(8)

        def race(number: int, gate: threading.Barrier = gate) -> str | None:
            with Ledger.open(address, migrate=False) as mine:
                gate.wait()
                try:
                    mine.use_approval(made.plan_id, run_id=f"run-{number}")
                except ApprovalRefusedError as refusal:
                    return str(refusal)
                return None

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(race, range(8)))
        (winner,) = [number for number, refused in enumerate(results) if refused is None]
        assert all(refused is None or f"used by run run-{winner} " in refused for refused in results)


def test_using_races_with_planning_anew(ledger: Ledger, address: Address, control_database: str) -> None:
    """Whatever the order: an approval is never used after a different plan was saved."""
    for number in range(10):
        _, old = planned(ledger, action(f"old{number}"))
        ledger.approve(old.plan_id, actor="ada", how="ui")
        gate = threading.Barrier(2)

        def use(plan_id: str = old.plan_id, gate: threading.Barrier = gate) -> None:
            with Ledger.open(address, migrate=False) as mine:
                gate.wait()
                try:
                    mine.use_approval(plan_id, run_id="racer")
                except ApprovalRefusedError as refused:
                    assert "superseded" in str(refused)  # noqa: PT017 - in a thread

        with ThreadPoolExecutor(1) as pool:
            racer = pool.submit(use)
            gate.wait()
            planned(ledger, action(f"new{number}"))
            racer.result()
    overtaken = """
        select a.plan_id from upkeep.approval a join upkeep.plan p on p.plan_id = a.plan_id
        where a.event = 'used' and exists (
            select from upkeep.plan n where n.target = p.target and n.job = p.job and n.plan_id <> p.plan_id
            and n.id > p.id and n.id < a.id)
    """
    assert execute(control_database, overtaken) == []


# -- pauses and backups ---------------------------------------------------------------------------------


def test_pausing_a_target_and_the_fleet(ledger: Ledger) -> None:
    assert ledger.paused("pipeline") is None
    ledger.pause("pipeline", actor="ada", reason="migration")
    ledger.pause("pipeline", actor="grace")  # paused already
    text = ledger.paused("pipeline")
    assert text is not None
    assert "'pipeline' was paused by ada at" in text
    assert text.endswith(": migration")
    assert ledger.paused("other") is None
    ledger.pause(None, actor="grace")
    assert "the whole fleet was paused by grace" in (ledger.paused("other") or "")
    ledger.resume("other", actor="ada")  # was not paused by itself
    assert ledger.paused("other") is not None
    ledger.resume(None, actor="ada")
    assert ledger.paused("other") is None
    assert ledger.paused("pipeline") is not None
    ledger.resume("pipeline", actor="ada", reason="done")
    assert ledger.paused("pipeline") is None
    ledger.pause("pipeline", actor="linus")
    assert "linus" in (ledger.paused("pipeline") or "")


def test_a_backup_is_as_its_last_event_says(ledger: Ledger) -> None:
    def taken(name: str, hours: int) -> Artefact:
        where = {"location": f"/srv/{name}", "sha256": "0" * 64, "identity": "postgres:1:2"}
        return Artefact(id=name, bytes=10, snapshot_at=AT - timedelta(hours=hours), **where)

    def states(target: str | None = "pipeline", *, expired: bool = False) -> list[tuple[str, str]]:
        return [(b.artefact.id, b.artefact.state) for b in ledger.backups(target, expired=expired)]

    assert ledger.backups() == []
    old, young = taken("old", 30), taken("young", 26)
    for target, artefact in (("pipeline", young), ("pipeline", old), ("other", taken("else", 1))):
        ledger.keep_backup("r1", target, artefact)
    assert states() == [("young", "unverified"), ("old", "unverified")]
    assert states(None)[0] == ("else", "unverified")
    verified = old.model_copy(update={"state": "verified", "verified_at": AT, "level": "restored"})
    ledger.keep_backup("r2", "pipeline", verified)
    ledger.keep_backup("r3", "pipeline", old, event="used")  # says nothing of how it stands
    assert states() == [("young", "unverified"), ("old", "verified")]
    kept = ledger.backups("pipeline")[1]
    assert (kept.artefact, kept.run_id) == (verified, "r1")
    assert kept.used_at is not None
    assert ledger.memory("pipeline", JOB, {"backups"}).backups[1] == kept
    ledger.keep_backup("r4", "pipeline", young.model_copy(update={"state": "expired"}))
    assert states() == [("old", "verified")]
    assert states(expired=True) == [("young", "expired"), ("old", "verified")]


def test_the_version_is_recorded(ledger: Ledger, control_database: str) -> None:
    assert execute(control_database, "select version_num from upkeep.alembic_version") == [(schema.VERSION,)]
