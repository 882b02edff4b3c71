"""The session: pinned settings, refusals that say how to mend them, lost connections, and waits that end."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from tests.harness import postgres as help_
from tests.harness.jobs import address
from tests.harness.pooler import Pooler
from upkeep.errors import CancelledError, ConfigurationError, UnreachableError
from upkeep.jobs.contract import go_on
from upkeep.jobs.errors import LockNotObtainedError
from upkeep.postgres import ddl
from upkeep.postgres.session import ConnectionLostError


@pytest.mark.versions
def test_settings_are_pinned_whatever_the_role_says(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("create schema evil")
        admin.execute("create function evil.clock_timestamp() returns text language sql as 'select ''never''::text'")
        admin.execute("alter role upkeep set search_path = evil, public")
        admin.execute("alter role upkeep set timezone = 'Asia/Kathmandu'")
        admin.execute("alter role upkeep set default_transaction_isolation = 'serializable'")
        admin.execute("alter role upkeep set datestyle = 'German'")
        try:
            with help_.session(database) as session:
                assert session.now().utcoffset() is not None
                names = ["search_path", "TimeZone", "default_transaction_isolation", "DateStyle", "jit", "row_security"]
                shown = [
                    session.execute(sql.SQL("select current_setting({}) as v").format(n)).fetchall()[0]["v"]
                    for n in names
                ]
        finally:
            admin.execute("alter role upkeep reset all")
    assert shown == ["pg_catalog, pg_temp", "UTC", "read committed", "ISO, YMD", "off", "off"]


def test_a_setting_that_the_role_may_not_put_right_is_refused(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"alter database {admin.info.dbname} set session_replication_role = 'replica'")
    with (
        pytest.raises(ConfigurationError, match=r"set parameter .session_replication_role.*reset"),
        help_.session(database),
    ):
        pytest.fail("connected")


def test_identity_is_the_physical_database(database: str) -> None:
    with help_.session(database) as one, help_.session(database, host="localhost") as other:
        assert one.identity == other.identity
    with help_.session(database, database="postgres") as third:
        assert third.identity.rpartition(":")[0] == one.identity.rpartition(":")[0]
        assert third.identity != one.identity


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 1}, "check host and port"),
        ({"user": "nobody_here", "password": "hunter2-secret"}, "check user and password"),
        ({"password": "hunter2-secret"}, "check user and password"),
        ({"database": "no_such_database"}, "check the name of the database"),
        ({"host": "no-such-host.invalid"}, "check host and port"),
        ({"options": {"sslmode": "nonsense"}}, "sslmode"),
    ],
)
def test_what_cannot_be_reached_is_said_without_the_password(database: str, change: dict[str, Any], said: str) -> None:
    with pytest.raises((UnreachableError, ConfigurationError)) as caught, help_.session(database, **change):
        pytest.fail("connected")
    text = str(caught.value)
    assert said in text
    assert "hunter2" not in text
    known = address(database, **change)
    assert f"{known.host}:{known.port}" in text
    assert f"database {known.database}" in text


@pytest.mark.parametrize("fifo", [False, True])
def test_transaction_pools_are_refused(database: str, fifo: bool) -> None:
    with (
        Pooler(database, "transaction", fifo=fifo) as pooler,
        pytest.raises(ConfigurationError, match="transaction pooler"),
        help_.session(database, host="127.0.0.1", port=pooler.port, options={"sslmode": "disable"}),
    ):
        pytest.fail("connected")


def test_session_pools_are_fine(database: str) -> None:
    with (
        Pooler(database, "session") as pooler,
        help_.session(database, host="127.0.0.1", port=pooler.port, options={"sslmode": "disable"}) as session,
    ):
        assert session.tested


def test_a_lost_connection_is_one_kind_of_error(database: str) -> None:
    with help_.session(database) as session:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("select pg_terminate_backend(%s, 5000)", [session.backend_pid])
        with pytest.raises(ConnectionLostError, match="the connection was lost"):
            session.now()


def test_cancel_works_from_another_thread_and_for_good(database: str) -> None:
    with help_.session(database) as session:
        threading.Timer(0.3, session.cancel).start()
        started = time.monotonic()
        with pytest.raises(CancelledError):
            session.execute(sql.SQL("select pg_sleep(30)"))
        assert time.monotonic() - started < 5
        with pytest.raises(CancelledError):
            session.now()


def test_names_with_percent_and_braces_do_not_meet_parameters(database: str) -> None:
    with help_.session(database) as session:
        statement = sql.SQL("select %(x)s::int as {}, {} as {}").format(
            sql.Identifier("100%s"), sql.Literal("50%"), sql.Identifier("b{}")
        )
        assert session.execute(statement, {"x": 1}).fetchall() == [{"100%s": 1, "b{}": "50%"}]


def attempt(session: Any, body: Any, **retry: Any) -> Any:
    known = ddl.LockRetry(**{"attempts": 3, "first_sleep": 0.01, "last_sleep": 0.02, **retry})
    return ddl.attempt(session, body, checkpoint=go_on, sleep=time.sleep, retry=known)


def test_attempts_roll_back_and_repeat(database: str) -> None:
    tried: list[int] = []
    with help_.session(database) as session:
        session.execute(sql.SQL("create table public.t (n int)"))

        def body() -> str:
            tried.append(1)
            session.execute(sql.SQL("insert into public.t values (1)"))
            if len(tried) < 3:
                raise errors.LockNotAvailable
            return "done"

        assert attempt(session, body) == "done"
        assert session.execute(sql.SQL("select count(*) as n from public.t")).fetchall() == [{"n": 1}]
        shown = session.execute(sql.SQL("show lock_timeout")).fetchall()[0]
        assert shown == {"lock_timeout": "2s"}


def test_a_statement_that_holds_its_locks_too_long_is_ended(database: str) -> None:
    with help_.session(database) as session, pytest.raises(ddl.HeldTooLongError):
        attempt(session, lambda: session.execute(sql.SQL("select pg_sleep(5)")), hold=0.2)


def test_statements_that_stand_alone_are_retried_and_leave_the_setting(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("create table public.t (n int)")
    with help_.session(database) as session, psycopg.connect(database) as holder:
        holder.execute("lock table public.t in share mode")
        retry = ddl.LockRetry(attempts=2, first_sleep=0.01)
        with pytest.raises(LockNotObtainedError):
            ddl.run_alone(session, sql.SQL("vacuum full public.t"), checkpoint=go_on, sleep=time.sleep, retry=retry)
        assert session.execute(sql.SQL("show lock_timeout")).fetchall() == [{"lock_timeout": "2s"}]
        holder.rollback()
        ddl.run_alone(session, sql.SQL("vacuum full public.t"), checkpoint=go_on, sleep=time.sleep)


def test_autovacuum_gives_way_to_the_quiet_lock() -> None:
    """Autovacuum yields only to whoever waited for deadlock_timeout: the quiet wait must be longer than that."""
    assert ddl.QUIET_SECONDS > 1.0
    assert ddl.LockRetry().last_wait <= 0.1
