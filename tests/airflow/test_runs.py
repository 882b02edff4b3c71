# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
"""The DAGs end to end: real PostgreSQL, Airflow on SQLite, one run after the other in this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.dag_runs import OLD, READINGS, execute, report, run, states

if TYPE_CHECKING:
    from airflow.sdk import DAG

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's own, many; the DAG files' are seen in test_dag_files

PARTITIONS = """
version: 1
targets:
  good:
    engine: postgres
    connection: good
    tables:
      public.readings:
        partition: {by: at, every: 1 month, ahead: 2}
"""
UNREACHABLE = """
  far:
    engine: postgres
    connection: nowhere
    tables:
      public.readings: {partition: {by: at, every: 1 month, ahead: 2}}
"""
RETENTION = """
version: 1
targets:
  good:
    engine: postgres
    connection: good
    tables:
      public.readings:
        retain: {by: at, for: 30 days, then: delete, grace: 0 days}
"""


def start(dag: "DAG", conf: dict[str, Any] | None, **arguments: Any) -> Any:
    """Run a DAG once with exactly this conf, as REST hands it over."""
    try:
        return dag.test(run_conf=conf, **arguments)
    finally:
        for name, value in {"mode": "enforce", "targets": []}.items():
            if name in dag.params:
                dag.params[name] = value


def partitions(uri: str) -> int:
    counted = "select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relkind = 'r'"
    return int(execute(uri, counted)[0][0])


def test_partition_creation(dags: "dict[str, DAG]", fleet: Callable[[str], Path], database: str, ledger: Any) -> None:
    execute(database, READINGS)
    fleet(PARTITIONS)
    first = run(dags["partition_creation"])
    assert first.state == "success", states(first)
    assert states(first)["gate_after[good]"] == "success"
    (target,) = report(ledger, first).targets
    assert target.status == "ok"
    assert [g.success for g in target.gates] == [True, True]
    assert partitions(database) == 3

    again = run(dags["partition_creation"])
    assert again.state == "success"
    assert report(ledger, again).targets[0].status == "nothing_to_do"
    assert set(states(again).values()) == {"success", "skipped"}  # skipped: nothing to hand over
    assert [t for t, s in states(again).items() if s == "skipped"] == ["hand_over"]
    assert partitions(database) == 3
    recorded = ledger.run(report(ledger, again).run_id)
    assert recorded.finished_at is not None
    assert recorded.options["dag_run_id"] == again.run_id


def test_one_target_fails_the_other_goes_on(
    dags: "dict[str, DAG]", fleet: Callable[[str], Path], database: str, ledger: Any
) -> None:
    execute(database, READINGS)
    fleet(PARTITIONS + UNREACHABLE)
    dag_run = run(dags["partition_creation"])
    assert dag_run.state == "failed"
    seen = states(dag_run)
    assert seen["gate_after[good]"] == "success"
    assert seen["observe[far]"] == "failed"
    assert seen["conclude"] == "success"
    assert seen["all_well"] == "upstream_failed"
    assert {t.target: t.status for t in report(ledger, dag_run).targets} == {"good": "ok", "far": "unreachable"}
    assert partitions(database) == 3


def test_an_expected_failure_is_a_sentence_in_the_log(
    dags: "dict[str, DAG]", fleet: Callable[[str], Path], database: str, ledger: Any
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from upkeep.airflow.operators import Observe

    execute(database, READINGS)
    fleet(PARTITIONS + UNREACHABLE)
    run_id = report(ledger, run(dags["partition_creation"])).run_id
    step = Observe(task_id="observe_far", run_id=run_id, target="far")
    with pytest.raises(AirflowFailException, match="'nowhere'") as caught:
        step.execute({})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "no traceback of where it was raised"
    assert len(caught.traceback) < 6


def test_plan_only_changes_nothing(
    dags: "dict[str, DAG]", fleet: Callable[[str], Path], database: str, ledger: Any
) -> None:
    execute(database, READINGS)
    fleet(PARTITIONS)
    dag_run = run(dags["partition_creation"], run_conf={"mode": "plan", "targets": ["good"]})
    assert dag_run.state == "success", states(dag_run)
    (target,) = report(ledger, dag_run).targets
    assert (target.status, len(target.actions)) == ("planned", 3)
    assert states(dag_run)["gate_after[good – planned only]"] == "success"
    assert partitions(database) == 0


def test_a_paused_target_is_not_done(
    dags: "dict[str, DAG]", old_rows: None, database: str, ledger: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.pause("good", actor="anna", reason="moving house")
    dag_run = run(dags["data_retention"])
    assert dag_run.state == "success", states(dag_run)
    assert states(dag_run)["gate_after[good – paused]"] == "success"
    (target,) = report(ledger, dag_run).targets
    assert target.status == "paused"
    assert "nothing is changed: 'good' was paused by anna at" in capsys.readouterr().out
    assert execute(database, "select count(*) from public.readings") == [(150,)]


def test_an_unknown_target_is_said_so(dags: "dict[str, DAG]", fleet: Callable[[str], Path], database: str) -> None:
    fleet(PARTITIONS)
    dag_run = run(dags["partition_creation"], run_conf={"targets": ["gud"]})
    assert dag_run.state == "failed"
    assert states(dag_run)["start"] == "failed"


def test_a_run_with_an_unknown_key_begins_nothing(
    dags: "dict[str, DAG]", fleet: Callable[[str], Path], database: str, ledger: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """By REST any key can come: one that is not known would else be a run that changes something."""
    execute(database, READINGS)
    fleet(PARTITIONS)
    dag_run = start(dags["partition_creation"], {"Mode": "plan"})
    assert dag_run.state == "failed"
    assert states(dag_run)["start"] == "failed"
    assert ledger.runs() == []
    assert partitions(database) == 0
    said = capsys.readouterr().out
    assert "unknown key 'Mode' (did you mean 'mode'?): partition_creation knows mode, targets" in said


@pytest.mark.parametrize("conf", [{"mode": "Plan"}, {"mode": None}, {"targets": "good"}, {"targets": [7]}])
def test_airflow_refuses_a_wrong_value_itself(dags: "dict[str, DAG]", conf: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        start(dags["partition_creation"], conf)


def test_a_run_without_conf_goes_on(dags: "dict[str, DAG]", fleet: Callable[[str], Path], database: str) -> None:
    """Scheduled runs, and a backfill's, have none."""
    execute(database, READINGS)
    fleet(PARTITIONS)
    run(dags["partition_creation"], run_conf={"mode": "plan"})  # leaves its values with the DAG's object …
    run(dags["partition_creation"])  # … so they are set again
    dag_run = start(dags["partition_creation"], None)
    assert dag_run.state == "success", states(dag_run)
    assert partitions(database) == 3


def test_an_approval_with_an_unknown_key_is_refused(
    dags: "dict[str, DAG]", old_rows: None, database: str, ledger: Any
) -> None:
    _, plan_id = ask(dags, ledger)
    approve(plan_id, "Approve", ANNA)
    conf = {"plan_id": plan_id, "mode": "plan"}
    dag_run = start(dags["approved_changes"], conf, mark_success_pattern="approve")
    assert states(dag_run)["describe"] == "failed"
    assert execute(database, "select count(*) from public.readings") == [(150,)]


def test_a_past_instant_creates_what_was_missing_then(
    dags: "dict[str, DAG]", fleet: Callable[[str], Path], database: str, ledger: Any
) -> None:
    """What a backfill does: the data interval of the past night, today's state."""
    execute(database, READINGS)
    fleet(PARTITIONS)
    dag_run = run(dags["partition_creation"], logical_date=datetime(2026, 3, 1, 2, tzinfo=UTC))
    assert dag_run.state == "success", states(dag_run)
    assert report(ledger, dag_run).at == dag_run.data_interval_end
    assert partitions(database) == 3


def ask(dags: "dict[str, DAG]", ledger: Any) -> tuple[Any, str]:
    """Run the retention; return its run, and the plan that now waits."""
    nightly = run(dags["data_retention"])
    assert nightly.state == "success", states(nightly)
    (target,) = report(ledger, nightly).targets
    assert target.status == "awaiting_approval"
    return nightly, target.plan_id


def question(plan_id: str) -> Any:
    from upkeep.airflow.approval import ApprovePlan

    hour = timedelta(hours=1)
    return ApprovePlan(task_id="approve", plan_id=plan_id, subject="-", defaults="Reject", response_timeout=hour)


def answer(option: str, user: dict[str, str] | None) -> dict[str, Any]:
    """Return the event with which Airflow resumes the waiting task: an answer in the UI, or the time-out's default."""
    about = {"params_input": {}, "responded_at": datetime.now(UTC), "responded_by_user": user}
    return {"chosen_options": [option], "timedout": user is None, **about}


def approve(plan_id: str, option: str, user: dict[str, str] | None) -> None:
    question(plan_id).execute_complete({}, answer(option, user))


ANNA = {"id": "7", "name": "anna"}


@pytest.fixture
def old_rows(fleet: Callable[[str], Path], database: str) -> None:
    execute(database, READINGS + OLD)
    fleet(RETENTION)


def test_what_needs_a_person_is_handed_over_once(
    dags: "dict[str, DAG]", old_rows: None, database: str, ledger: Any
) -> None:
    nightly, plan_id = ask(dags, ledger)
    assert execute(database, "select count(*) from public.readings") == [(150,)]
    assert [s for t, s in states(nightly).items() if t.startswith("hand_over")] == ["success"]
    (entry,) = nightly.get_task_instance("conclude").xcom_pull(task_ids="conclude")
    assert entry["conf"]["plan_id"] == plan_id
    assert entry["trigger_run_id"] == f"good.{plan_id}.1"

    again, same_plan = ask(dags, ledger)
    assert same_plan == plan_id
    assert states(again)["hand_over"] == "skipped"  # somebody is being asked already


def test_two_nights_at_once_hand_the_same_plan_over(
    dags: "dict[str, DAG]", old_rows: None, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backfill: the second looked for the run that asks before the first had begun it."""
    from upkeep.airflow import handover

    _, plan_id = ask(dags, ledger)
    monkeypatch.setattr(handover, "_free_run_id", lambda _, name: f"{name}.1")
    with paused("approved_changes", value=False):
        second, same_plan = ask(dags, ledger)
    assert same_plan == plan_id
    assert second.state == "success", states(second)
    assert states(second)["hand_over[good]"] == "skipped", states(second)
    (entry,) = second.get_task_instance("conclude").xcom_pull(task_ids="conclude")
    assert entry["trigger_run_id"] == f"good.{plan_id}.1"


def test_a_question_that_was_deleted_is_asked_again(dags: "dict[str, DAG]", old_rows: None, ledger: Any) -> None:
    _, plan_id = ask(dags, ledger)
    forget_questions()
    with paused("approved_changes", value=False):
        nightly, _ = ask(dags, ledger)
    (entry,) = nightly.get_task_instance("conclude").xcom_pull(task_ids="conclude")
    assert entry["trigger_run_id"] == f"good.{plan_id}.1"
    assert states(nightly)["hand_over[good]"] == "success"


def forget_questions() -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == "approved_changes"))


@pytest.mark.parametrize("there", ["paused", "missing"])
def test_nobody_is_asked_while_the_dag_that_asks_is_away(
    dags: "dict[str, DAG]",
    old_rows: None,
    ledger: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    there: str,
) -> None:
    from upkeep.airflow import handover

    if there == "missing":
        monkeypatch.setattr(handover, "APPROVALS", "not_here")
    with paused("approved_changes", value=there == "paused"):
        nightly = run(dags["data_retention"])
    said, seen = capsys.readouterr().out, states(nightly)
    (label,) = [task for task in seen if task.startswith("hand_over")]
    if there == "paused":
        assert (nightly.state, seen[label]) == ("success", "success")
        assert label == "hand_over[good – approved_changes is paused: nobody is asked]"
        assert "unpause it" in said
    else:
        assert (nightly.state, seen[label]) == ("failed", "failed")
        assert "Airflow has no DAG not_here, so nobody is asked" in said


@contextmanager
def paused(dag_id: str, *, value: bool) -> Iterator[None]:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(is_paused=value))
    yield


def test_an_approved_plan_is_applied_once(dags: "dict[str, DAG]", old_rows: None, database: str, ledger: Any) -> None:
    _, plan_id = ask(dags, ledger)
    approve(plan_id, "Approve", ANNA)
    applied = run(dags["approved_changes"], run_conf={"plan_id": plan_id}, mark_success_pattern="approve")
    assert applied.state == "success", states(applied)
    assert execute(database, "select count(*) from public.readings") == [(100,)]
    done = report(ledger, applied)
    assert done.targets[0].status == "ok"
    assert ledger.run(done.run_id).actor == "anna"

    cleared = run(dags["approved_changes"], run_conf={"plan_id": plan_id}, mark_success_pattern="approve")
    assert cleared.state == "failed"
    assert states(cleared)["describe"] == "failed"


def test_marking_the_task_approves_nothing(dags: "dict[str, DAG]", old_rows: None, database: str, ledger: Any) -> None:
    _, plan_id = ask(dags, ledger)
    dag_run = run(dags["approved_changes"], run_conf={"plan_id": plan_id}, mark_success_pattern="approve")
    assert dag_run.state == "failed"
    assert states(dag_run)["start"] == "failed"
    assert execute(database, "select count(*) from public.readings") == [(150,)]


def test_a_rejection_is_recorded(dags: "dict[str, DAG]", old_rows: None, ledger: Any) -> None:
    _, plan_id = ask(dags, ledger)
    approve(plan_id, "Reject", ANNA)
    assert ledger.pending() == []
    nightly = run(dags["data_retention"])  # a no is not asked about again the same night
    assert states(nightly)["hand_over"] == "skipped"


def test_no_answer_decides_nothing(dags: "dict[str, DAG]", old_rows: None, ledger: Any) -> None:
    _, plan_id = ask(dags, ledger)
    approve(plan_id, "Reject", None)
    approve(plan_id, "Approve", None)  # whatever the default: nobody has approved
    (pending,) = ledger.pending()
    assert pending.plan.plan_id == plan_id
    assert pending.state == "awaiting"


def test_a_question_is_open_while_its_plan_waits(
    dags: "dict[str, DAG]", old_rows: None, ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

    from upkeep.airflow import approval

    asked: list[str] = []
    monkeypatch.setattr(approval.ApprovalOperator, "execute", lambda _, __: park(asked))
    _, plan_id = ask(dags, ledger)
    until = datetime.now(UTC) + timedelta(hours=1)
    look = answer("Reject", None)
    with pytest.raises(TaskAwaitingInput) as parked:
        question(plan_id).execute_complete({}, look, deadline=until.isoformat())
    assert parked.value.kwargs == {"deadline": until.isoformat()}
    assert parked.value.timeout == approval.LOOK_AGAIN
    assert asked == ["asked"]
    ledger.reject(plan_id, actor="anna", how="cli", reason="not today")
    taken_back: list[Any] = []
    monkeypatch.setattr(approval, "upsert_hitl_detail", lambda ti_id, *_: taken_back.append(ti_id))
    with pytest.raises(AirflowSkipException, match=r"rejected by anna at .*: not today"):
        question(plan_id).execute_complete({"ti": SimpleNamespace(id=7)}, look, deadline=until.isoformat())
    assert taken_back == [7]  # the default that Airflow counts as an answer while it looks: nobody gave that one


def park(asked: list[str]) -> None:
    from airflow.sdk.exceptions import TaskAwaitingInput

    asked.append("asked")
    raise TaskAwaitingInput(method_name="execute_complete", timeout=None)


def test_a_newer_plan_takes_the_older_ones_place(
    dags: "dict[str, DAG]", old_rows: None, database: str, ledger: Any
) -> None:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from upkeep.airflow.approval import DescribePlan

    _, first = ask(dags, ledger)
    asked = f"good.{first}.1"
    waits_for_an_answer(asked)
    execute(
        database,
        "create table public.older partition of public.readings for values from ('2019-01-01Z') to ('2019-02-01Z')",
    )
    execute(database, "insert into public.readings values ('2019-01-10Z', 1); analyze public.readings")
    nightly, second = ask(dags, ledger)
    assert first != second
    said = f"superseded .*by plan {second} of run {report(ledger, nightly).run_id}"

    labels = [task for task in states(nightly) if task.startswith("hand_over")]
    assert f"hand_over[good – plan {first} is not asked about any more]" in labels
    question_now = task_instance("approved_changes", asked, "approve")
    assert question_now.state is None  # cleared: describe runs again, and ends it
    assert task_instance("approved_changes", asked, "describe").state is None
    taken_back = {"ti": SimpleNamespace(try_number=2)} | with_plan(first)
    with pytest.raises(AirflowSkipException, match=said):
        DescribePlan(task_id="describe", plan_id=first).execute(taken_back)
    with pytest.raises(AirflowFailException, match=said):
        approve(first, "Approve", ANNA)
    with pytest.raises(AirflowSkipException, match=said):  # nothing is lost by a no that comes too late
        approve(first, "Reject", ANNA)

    dag_run = run(dags["approved_changes"], run_conf={"plan_id": first}, mark_success_pattern="approve")
    assert dag_run.state == "failed"
    assert states(dag_run)["describe"] == "failed"
    assert execute(database, "select count(*) from public.readings") == [(151,)]


def with_plan(plan_id: str) -> dict[str, Any]:
    conf = {"plan_id": plan_id}
    run_and_dag = {
        "dag_run": SimpleNamespace(conf=conf, dag_id="approved_changes"),
        "dag": SimpleNamespace(params=conf),
    }
    return {**run_and_dag, "params": conf}


def waits_for_an_answer(run_id: str) -> None:
    """Bring a run that asks to where it waits: ``dag.test`` would wait for ever."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        for task_id, state in {"describe": "success", "approve": "awaiting_input"}.items():
            mine = (TaskInstance.run_id == run_id, TaskInstance.task_id == task_id)
            session.execute(update(TaskInstance).where(*mine).values(state=state))


def task_instance(dag_id: str, run_id: str, task_id: str) -> Any:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance).where(
        TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id
    )
    with create_session() as session:
        return session.scalars(query).one()
