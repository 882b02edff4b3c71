from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import psycopg
import pytest
from alembic import command

from tests.harness.pooler import Pooler
from upkeep import connections
from upkeep.errors import CancelledError, LeaseBusyError, LeaseLostError, LedgerError
from upkeep.ledger import Ledger, schema
from upkeep.run.lease import exclusive

if TYPE_CHECKING:
    from local.servers import PostgresServer
    from upkeep.engines import Address

IDENTITY = "postgres:7301:16384"


@pytest.fixture
def address(control_database: str) -> Address:
    found = connections.parse("upkeep_control", control_database)
    Ledger.open(found, migrate=True).close()
    return found


def execute(uri: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri, autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


END_HOLDER = """
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where application_name = 'upkeep lease' and datname = current_database()
"""


def test_one_holder_at_a_time_and_tokens_rise(address: Address, control_database: str) -> None:
    for expected in (1, 2, 3):
        with exclusive(address, IDENTITY, owner=f"run {expected}", deadline_seconds=1) as lease:
            assert lease.token == expected
            lease.verify()
    with exclusive(address, "postgres:7301:5", owner="x", deadline_seconds=1) as other:
        assert other.token == 1
    assert execute(control_database, "select count(*) from upkeep.lease where released_at is null") == [(0,)]
    assert execute(control_database, "select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


def test_a_busy_lease_names_its_holder_and_fails_at_the_deadline(address: Address) -> None:
    said: list[str] = []
    with exclusive(address, IDENTITY, owner="run 42 (pipeline)", deadline_seconds=1) as lease:
        with (
            pytest.raises(
                LeaseBusyError, match=r"being changed by run 42 \(pipeline\) since 20\d\d-.* UTC; waited"
            ) as busy,
            exclusive(address, IDENTITY, owner="late", deadline_seconds=0.4, waiting=said.append),
        ):
            pytest.fail("two holders")
        assert busy.value.exit_status == 3
        assert len(said) == 1
        assert "run 42 (pipeline)" in said[0]
        lease.verify()
        with exclusive(address, "another database", owner="late", deadline_seconds=0):
            pass


def test_waiting_ends_when_the_holder_is_done(address: Address) -> None:
    waits = threading.Event()

    def late() -> int:
        with exclusive(address, IDENTITY, owner="late", deadline_seconds=30, waiting=lambda _: waits.set()) as lease:
            return lease.token

    with ThreadPoolExecutor(1) as pool:
        with exclusive(address, IDENTITY, owner="first", deadline_seconds=1):
            result = pool.submit(late)
            assert waits.wait(20)
        assert result.result(20) == 2


def test_waiting_can_be_cancelled(address: Address) -> None:
    stop = threading.Event()

    def cancelled() -> None:
        if stop.is_set():
            raise CancelledError("stop")

    with (
        exclusive(address, IDENTITY, owner="first", deadline_seconds=1),
        pytest.raises(CancelledError),
        exclusive(
            address,
            IDENTITY,
            owner="late",
            deadline_seconds=60,
            waiting=lambda _: stop.set(),
            cancelled=cancelled,
        ),
    ):
        pytest.fail("two holders")


def test_many_that_want_it_never_overlap(address: Address) -> None:
    inside: list[int] = []

    def work(number: int) -> int:
        with exclusive(address, IDENTITY, owner=f"run {number}", deadline_seconds=60) as lease:
            inside.append(number)
            time.sleep(0.02)
            assert inside == [number]
            lease.verify()
            inside.remove(number)
            return lease.token

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(work, range(12))) == list(range(1, 13))


def test_an_exception_gives_the_lease_back(address: Address) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(address, IDENTITY, owner="first", deadline_seconds=1) as lease:
        raise ZeroDivisionError
    with pytest.raises(LeaseLostError, match="given back"):
        lease.verify()
    with exclusive(address, IDENTITY, owner="next", deadline_seconds=0):
        pass


def test_a_holder_whose_session_was_ended_stops(address: Address, control_database: str) -> None:
    with exclusive(address, IDENTITY, owner="first", deadline_seconds=1) as lease:
        execute(control_database, END_HOLDER)
        with pytest.raises(LeaseLostError):
            lease.verify()
        with exclusive(address, IDENTITY, owner="next", deadline_seconds=0) as taken:
            assert taken.token == 2
            with pytest.raises(LeaseLostError):
                lease.verify()
            taken.verify()
            lease.release()  # must not take it from the next
            taken.verify()


def test_a_newer_token_stops_a_holder(address: Address, control_database: str) -> None:
    with exclusive(address, IDENTITY, owner="first", deadline_seconds=1) as lease:
        execute(control_database, "update upkeep.lease set token = token + 1")
        with pytest.raises(LeaseLostError, match="another run has taken"):
            lease.verify()


def test_a_lock_that_was_let_go_stops_a_holder(address: Address) -> None:
    with exclusive(address, IDENTITY, owner="first", deadline_seconds=1) as lease:
        lease._control._connection.execute("select pg_advisory_unlock_all()")
        with pytest.raises(LeaseLostError, match="not held any more"):
            lease.verify()


def test_only_equal_names_exclude_each_other(address: Address) -> None:
    with (
        exclusive(address, IDENTITY, owner="run 1", deadline_seconds=0) as change,
        exclusive(address, IDENTITY, name="backup", owner="run 2", deadline_seconds=0) as backup,
        exclusive(address, IDENTITY, name="warm", owner="run 3", deadline_seconds=0) as warm,
    ):
        for lease, text in ((change, "changed by run 1"), (backup, "backed up by run 2"), (warm, "warmed by run 3")):
            assert lease.token == 1
            lease.verify()
            with (
                pytest.raises(LeaseBusyError, match=f"is being {text} since 20"),
                exclusive(address, IDENTITY, name=lease.name, owner="late", deadline_seconds=0),
            ):
                pytest.fail("two holders")
        backup.release()
        change.verify()
        with exclusive(address, IDENTITY, name="backup", owner="run 4", deadline_seconds=0) as again:
            assert again.token == 2
            with pytest.raises(LeaseLostError, match="the backup lease on"):
                backup.verify()
            warm.verify()


OLD_KEY = int.from_bytes(hashlib.sha256(f"upkeep lease {IDENTITY}".encode()).digest()[:8], "big", signed=True)
"""The key that Upkeep has always locked for a change: written out here, so that it stays."""
OLD_ROW = "insert into upkeep.lease (identity, token, owner, backend_pid, acquired_at) values (%s, 8, %s, %s, now())"


def test_a_holder_of_before_leases_had_names_holds_a_change(
    empty_control_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, upgrade = connections.parse("upkeep_control", empty_control_database), command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(schema, "VERSION", "0001")
        patched.setattr(command, "upgrade", lambda config, _: upgrade(config, "0001"))
        Ledger.open(address, migrate=True).close()
    with psycopg.connect(empty_control_database, autocommit=True) as old:
        old.execute("select pg_advisory_lock(%s)", [OLD_KEY])
        old.execute(OLD_ROW, [IDENTITY, "run of old", old.info.backend_pid])
        Ledger.open(address, migrate=True).close()  # meanwhile
        with (
            pytest.raises(LeaseBusyError, match="being changed by run of old since"),
            exclusive(address, IDENTITY, owner="new", deadline_seconds=0),
        ):
            pytest.fail("two holders")
        with exclusive(address, IDENTITY, name="backup", owner="new", deadline_seconds=0):
            pass
    with exclusive(address, IDENTITY, owner="new", deadline_seconds=5) as lease:
        assert lease.token == 9
        with psycopg.connect(empty_control_database, autocommit=True) as old:
            assert old.execute("select pg_try_advisory_lock(%s)", [OLD_KEY]).fetchall() == [(False,)]


def test_beside_a_backup_nothing_begins_that_must_not(address: Address) -> None:
    with exclusive(address, IDENTITY, owner="run 1", deadline_seconds=0) as change:
        with (
            exclusive(address, IDENTITY, name="backup", owner="run 2", deadline_seconds=0),
            change.beside(("warm", "backup")) as busy,
        ):
            assert busy is not None
            assert re.search(f"^{IDENTITY} is being backed up by run 2 since 20", busy)
            change.verify()
        for name in ("backup", "warm"):  # what could be had of several was given back
            with exclusive(address, IDENTITY, name=name, owner="run 3", deadline_seconds=0):
                pass
        with change.beside(()) as busy:
            assert busy is None


def test_a_backup_begins_when_what_must_not_run_beside_it_has_ended(address: Address) -> None:
    waits = threading.Event()

    def late() -> int:
        with exclusive(
            address, IDENTITY, name="backup", owner="b", deadline_seconds=30, waiting=lambda _: waits.set()
        ) as lease:
            return lease.token

    with ThreadPoolExecutor(1) as pool, exclusive(address, IDENTITY, owner="run 1", deadline_seconds=0) as change:
        with change.beside(("backup",)) as busy:
            assert busy is None
            change.verify()
            with (
                pytest.raises(LeaseBusyError, match="being changed by run 1 since"),
                exclusive(address, IDENTITY, name="backup", owner="b", deadline_seconds=0),
            ):
                pytest.fail("a backup beside it")
            result = pool.submit(late)
            assert waits.wait(20)
            with change.beside(("backup",)) as other:  # who waits comes first
                assert other is not None
                assert "being backed up by another run, or about to be" in other
            assert not result.done()
        assert result.result(20) == 1
        change.verify()


def test_a_shared_lock_that_was_let_go_stops_a_holder(address: Address, control_database: str) -> None:
    with exclusive(address, IDENTITY, owner="first", deadline_seconds=1) as lease:
        with lease.beside(("backup",)):
            lease._control._connection.execute("select pg_advisory_unlock_shared(%s)", [lease._shared[0]])
            with pytest.raises(LeaseLostError, match="not held any more"):
                lease.verify()
        lease.verify()
        execute(control_database, END_HOLDER)
        with pytest.raises(LeaseLostError, match="cannot be verified"), lease.beside(("backup",)):
            pytest.fail("shared by nobody")


def test_an_owner_killed_outright_is_followed_by_the_next(address: Address, control_database: str) -> None:
    script = textwrap.dedent(
        f"""
        import sys, time
        from upkeep import connections
        from upkeep.run.lease import exclusive
        address = connections.parse("upkeep_control", sys.argv[1])
        with exclusive(address, {IDENTITY!r}, owner="killed", deadline_seconds=5):
            print("held", flush=True)
            time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script, control_database], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        with (
            pytest.raises(LeaseBusyError, match="killed"),
            exclusive(address, IDENTITY, owner="x", deadline_seconds=0),
        ):
            pytest.fail("two holders")
        owner.kill()
    with exclusive(address, IDENTITY, owner="next", deadline_seconds=10) as lease:
        assert lease.token == 2
        lease.verify()


def test_a_control_database_that_is_gone(own_postgres_server: PostgresServer) -> None:
    address = connections.parse("upkeep_control", own_postgres_server.uri())
    Ledger.open(address, migrate=True).close()
    with exclusive(address, IDENTITY, owner="first", deadline_seconds=1) as lease:
        own_postgres_server.stop()
        with pytest.raises(LeaseLostError, match="cannot be verified"):
            lease.verify()
        with pytest.raises(LedgerError), exclusive(address, IDENTITY, owner="late", deadline_seconds=1):
            pytest.fail("no control database")
        own_postgres_server.start()
        with pytest.raises(LeaseLostError):  # a lease is never revived
            lease.verify()


def through(pooler: Pooler, address: Address) -> Address:
    return replace(address, host="127.0.0.1", port=pooler.port, options={"sslmode": "disable"})


@pytest.mark.parametrize("fifo", [False, True])
@pytest.mark.parametrize("size", [2, 5])
def test_a_pool_that_lends_sessions_for_transactions_is_refused(
    address: Address, control_database: str, fifo: bool, size: int
) -> None:
    with (
        Pooler(control_database, "transaction", size=size, fifo=fifo) as pooler,
        pytest.raises(LedgerError, match="pool_mode = transaction"),
        exclusive(through(pooler, address), IDENTITY, owner="pooled", deadline_seconds=1),
    ):
        pytest.fail("a lock in somebody else's session")


def test_a_pool_that_lends_whole_sessions_is_fine(address: Address, control_database: str) -> None:
    mode: Literal["session"] = "session"
    with Pooler(control_database, mode) as pooler:
        pooled = through(pooler, address)
        with exclusive(pooled, IDENTITY, owner="pooled", deadline_seconds=1) as lease:
            lease.verify()
            with (
                pytest.raises(LeaseBusyError, match="pooled"),
                exclusive(address, IDENTITY, owner="x", deadline_seconds=0),
            ):
                pytest.fail("two holders")
        with exclusive(address, IDENTITY, owner="next", deadline_seconds=0):
            pass


def test_the_ledger_itself_works_through_a_transaction_pool(address: Address, control_database: str) -> None:
    with (
        Pooler(control_database, "transaction", fifo=True) as pooler,
        Ledger.open(through(pooler, address), migrate=False) as ledger,
    ):
        for reason in ("a", "b"):
            ledger.pause("pipeline", actor="ada", reason=reason)
            assert reason in (ledger.paused("pipeline") or "")
            ledger.resume("pipeline", actor="ada")
