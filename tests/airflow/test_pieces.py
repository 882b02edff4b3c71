"""Hooks, the approval's text, preloading, cancelling: the pieces around the DAGs."""

# ruff: noqa: PLC0415 - Airflow may be imported only when its environment is set
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness import values
from upkeep.airflow import markdown
from upkeep.errors import ConfigurationError, UnreachableError
from upkeep.model import Action, Plan, Requirement

pytestmark = pytest.mark.filterwarnings("ignore")  # Airflow's own

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)


def test_a_hook_gives_address_and_session(airflow_home: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from upkeep.airflow.hooks import UpkeepPostgresHook

    monkeypatch.setenv("AIRFLOW_CONN_GOOD", database)
    hook = UpkeepPostgresHook("good")
    assert hook.address().kind == "postgres"
    assert hook.address().password not in repr(hook.address())
    with hook.session() as session:
        assert session.identity.startswith("postgres:")
    assert hook.get_first("select 1") == (1,)  # it is Airflow's hook as well


@pytest.mark.parametrize(
    ("name", "uri", "kind"),
    [
        ("TiDBHook", "tidb://u:p%2Fw@h:4000/app?ssl_ca=%2Fca.pem", "tidb"),
        ("UpkeepMongoHook", "mongo://u:p%2Fw@h:27017/app", "mongo"),
        ("UpkeepRedisHook", "redis://u:p%2Fw@h:6379/0", "redis"),
    ],
)
def test_addresses_of_other_engines(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch, name: str, uri: str, kind: str
) -> None:
    from upkeep.airflow import hooks

    monkeypatch.setenv("AIRFLOW_CONN_OTHER", uri)
    address = getattr(hooks, name)("other").address()
    assert (address.kind, address.host, address.user, address.password) == (kind, "h", "u", "p/w")


def test_a_session_that_cannot_be_opened_keeps_the_password(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from upkeep.airflow.hooks import TiDBHook

    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "tidb://u:hush-hush@127.0.0.1:1/app")
    with pytest.raises(UnreachableError) as refused, TiDBHook("other").session():
        pass
    assert "hush-hush" not in str(refused.value)


def test_an_unknown_connection_says_where_to_add_it(airflow_home: Path) -> None:
    from upkeep.airflow import addresses

    with pytest.raises(ConfigurationError, match="Admin → Connections"):
        addresses.resolve("nowhere_to_be_found")


def waiting_plan(*actions: Action) -> Plan:
    seen = values.observation(
        target="a|b", engine="postgres", job="data_retention", identity="i", version="15", at=AT, frames={}
    )
    return Plan.make(seen, actions)


def drop(subject: str, number: int = 0, statement: str = "drop table x") -> Action:
    return Action.make(
        kind="drop_partition",
        subject=subject,
        args={"n": number},
        statements=(statement,),
        reason="older than 30 days | <b>really</b>",
        destructive=True,
        precondition="-",
        rows=1200,
        requires=Requirement(kind="approval"),
    )


def test_the_question_shows_the_plan_and_escapes_it() -> None:
    hostile = 'public."x|y`\n| forged | row | <script>"'
    text = markdown.plan_table(waiting_plan(drop(hostile, statement="drop table x -- ```\n# forged")))
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == 2  # the heading and one action: nothing broke out of its row
    assert "<script>" not in text
    assert "<b>" not in text
    assert text.count("```") == 2
    assert "1,200" in text


def test_a_long_question_is_cut() -> None:
    text = markdown.plan_table(waiting_plan(*(drop("t", n) for n in range(markdown.MOST_ROWS + 3))))
    assert "3 more, see the report" in text


def test_every_statement_is_whole() -> None:
    long = "delete from x where " + " or ".join(f"id = {n}" for n in range(2000))
    text = markdown.plan_table(waiting_plan(drop("t", statement=long), drop("u", 1, statement="drop table u")))
    assert long in text
    assert "drop table u" in text
    assert "do not fit" not in text


def test_what_has_no_room_is_linked_whole_and_counted() -> None:
    """No statement is ever cut: an action is there with all of its statements, or on the tab."""
    huge = "select " + "x" * markdown.MOST_CHARACTERS
    actions = [drop("t", 0, statement=huge), *(drop("u", n, statement=f"drop table u{n}") for n in range(1, 3000))]
    text = markdown.plan_table(waiting_plan(*actions), "/dags/approved_changes/runs/a.b.1/plugin/upkeep")
    assert "xxx" not in text
    assert f"drop table u{markdown.MOST_ROWS - 1}\n" in text
    more = 3000 - markdown.MOST_ROWS
    assert f"[{more} more, see the report](/dags/approved_changes/runs/a.b.1/plugin/upkeep)" in text
    assert f"{more + 1:,} statements of {more + 1:,} changes do not fit here" in text
    assert len(text) < 2 * markdown.MOST_CHARACTERS


def test_the_buttons_are_within_reach() -> None:
    """They are below the question, so it is short: what is asked first, then the ways to all of it."""
    long = "\n".join(f"-- line {n}" for n in range(markdown.MOST_LINES + 1))
    text = markdown.plan_table(
        waiting_plan(drop("t", 1, long), *(drop("u", n) for n in range(200))), "dags/a", "dags/b"
    )
    assert len(text.splitlines()) < markdown.MOST_ROWS + 2 * markdown.MOST_LINES + 12
    assert "line 1" not in text
    first = text.splitlines()[0]
    assert "201 changes, 201 of them destructive; about 241,200 rows" in first
    assert "[All of it, with every statement](dags/a)" in first
    assert "[the report of the run that planned it](dags/b)" in first
    assert "a newer plan takes its place" in text.splitlines()[-1]


@pytest.mark.parametrize(
    "statement", ["delete from x where ctid >= {first}", "delete from x where id = %(id)s", 'x.delete({"_id": ["…"]})']
)
def test_placeholders_are_explained(statement: str) -> None:
    assert "only a batch knows" in markdown.plan_table(waiting_plan(drop("t", statement=statement)))
    assert "only a batch knows" not in markdown.plan_table(waiting_plan(drop("t")))


def test_what_turns_text_around_is_written_out() -> None:
    text = markdown.plan_table(waiting_plan(drop("public.\u202etxt", statement="drop table \u202ex\x00")))
    assert "\u202e" not in text
    assert "drop table \\u202ex\\u0000" in text


@pytest.mark.parametrize(
    ("conf", "says"),
    [
        ({"plan_only": True}, "unknown key 'plan_only'"),
        ({"Mode": "plan"}, "did you mean 'mode'"),
        ({"mode": "plan", "target": ["good"]}, "did you mean 'targets'"),
        ({"": 1}, "unknown key ''"),
        (["mode"], "not a mapping"),
        ({"mode": "plan"}, "dag_run_conf_overrides_params"),  # what Airflow made of it
    ],
)
def test_a_conf_that_is_not_understood_is_refused(airflow_home: Path, conf: Any, says: str) -> None:
    from upkeep.airflow import runtime

    with pytest.raises(ConfigurationError, match=says):
        runtime.parameters(started(conf, {"mode": "enforce", "targets": []}))


@pytest.mark.parametrize(
    ("conf", "params"),
    [
        (None, {"mode": "enforce", "targets": []}),
        ({}, {"mode": "enforce", "targets": []}),
        ({"mode": "plan"}, {"mode": "plan", "targets": []}),
        ({"mode": "enforce", "targets": ["a"]}, {"mode": "enforce", "targets": ["a"]}),
    ],
)
def test_a_conf_that_is_understood_goes_on(airflow_home: Path, conf: Any, params: dict[str, Any]) -> None:
    from upkeep.airflow import runtime

    assert runtime.parameters(started(conf, params)) == params


def started(conf: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Return the context of a task, as far as it tells what its run was started with."""
    dag = SimpleNamespace(params={"mode": "enforce", "targets": []})
    return {"dag_run": SimpleNamespace(conf=conf, dag_id="data_retention"), "dag": dag, "params": params}


def test_cancelling_a_task_cancels_its_runner(airflow_home: Path) -> None:
    from upkeep.airflow.operators import Observe

    class Spy:
        cancelled = False

        def cancel(self) -> None:
            self.cancelled = True

    task: Any = Observe(task_id="observe", run_id="r", target="t")
    task.on_kill()  # nothing runs: nothing to cancel
    task._runner = spy = Spy()
    task.on_kill()
    assert spy.cancelled


def test_preloading_leaves_no_connection_and_no_thread(airflow_home: Path) -> None:
    """What is shared with forks: modules, nothing alive."""
    code = """
import json, sys, threading, psutil
from upkeep.airflow.preload import preload
preload()
found = [m for m in ("great_expectations", "psycopg", "upkeep.postgres.data_retention") if m in sys.modules]
print(json.dumps([found, threading.active_count(), len(psutil.Process().net_connections())]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, threads, connections = json.loads(done.stdout.strip().splitlines()[-1])
    assert len(found) == 3
    assert threads == 1
    assert connections == 0
    assert "not preloaded" not in done.stderr


def test_a_location_goes_through_its_connection(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem

    from upkeep.airflow.stores import open_url
    from upkeep.stores.opening import open_store, opener

    class Known(MemoryFileSystem):
        """As if made with the credentials of an Airflow connection."""

    monkeypatch.setattr("upkeep.fleet.location.LOST", frozenset())
    attach("memory", conn_id="my_store", fs=Known())
    before = opener.set(open_url)
    try:
        store = open_store("memory://my_store@bucket/archive")
        assert isinstance(store._fs, Known)
        store.put("a/b.json", b"{}")
        assert open_store("memory://my_store@bucket/archive").get("a/b.json") == b"{}"
        assert isinstance(open_store("memory://bucket")._fs, MemoryFileSystem)
        with pytest.raises(ConfigurationError, match="nosuch"):
            open_store("nosuch://my_store@bucket/archive")
    finally:
        opener.reset(before)
