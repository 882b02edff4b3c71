"""A newcomer's first ten minutes: a fleet file from a database of their own, `check`, and the plan of every job.

The databases look like people's, and the login is an observer's: what has the right to read, and no more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from local.servers import MongoServer, PostgresServer, RedisServer, TidbServer
from tests.harness import mongo as mongo_help
from tests.harness import redis as redis_help
from tests.harness import tidb as tidb_help
from tests.harness.commands import until
from tests.harness.servers import fresh_database
from tests.integration.first_night import documents, keys
from upkeep import fleet, settings
from upkeep.cli import main
from upkeep.jobs.spec import JOBS

HERE = Path(__file__).parent
WORD = "Looks-0nly"
RULES = ("retain:", "partition:", "timeseries:", "ttl:")


@dataclass
class Newcomer:
    """Somebody with a login, a folder of their own, and the command line."""

    folder: Path
    name: str = "first.yaml"

    @property
    def text(self) -> str:
        return (self.folder / self.name).read_text()

    @property
    def target(self) -> fleet.Target:
        (target,) = fleet.load(self.folder / self.name).targets.values()
        return target

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["--fleet", str(self.folder / self.name), *arguments])

    def begins(self) -> str:
        """Write the first fleet file, once; check it, and plan every job with it. Return the screen of `check`."""
        done = self("init", "--from", "theirs")
        assert done.exit_code == 0, done.output
        written = self.text
        again = self("init", "--from", "theirs")
        assert again.exit_code == 2
        assert "exists" in again.output
        assert self.text == written
        checked = self("check")
        assert checked.exit_code == 0, checked.output
        assert len(checked.stdout.splitlines()) <= 40
        self.plans()
        return checked.stdout

    def plans(self, *jobs: str) -> None:
        for job in jobs or JOBS:
            planned = self("plan", job, "--json")
            assert planned.stdout, planned.output
            document = json.loads(planned.stdout)
            # what is wrong with the data is for health checks to say, and no fault of the file
            grave = [f for t in document["targets"] for f in t["findings"] if f["severity"] in {"ERROR", "CRITICAL"}]
            assert planned.exit_code == 0 or JOBS[job].looks_only, (job, planned.output)
            assert not [f for f in grave if f["check"] != "partition_headroom"], (job, grave)
            assert all(t["status"] not in {"failed", "unreachable"} for t in document["targets"]), planned.output

    def uncomment(self, subject: str) -> None:
        """Take the # away before a rule, as a person does."""
        lines = self.text.splitlines()
        place = lines.index(f"      # {subject}:")
        for n in range(place, place + 2):
            lines[n] = lines[n].replace("# ", "", 1)
        (self.folder / self.name).write_text("\n".join(lines) + "\n")

    def actions(self, job: str) -> list[Any]:
        document = json.loads(self("plan", job, "--json").stdout)
        return [a for target in document["targets"] for a in target["actions"]]


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, control_database: str) -> Newcomer:
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)
    return Newcomer(tmp_path)


def plain(text: str) -> str:
    """Return a text without what differs from run to run: numbers, ids, names of the test's own, breaks of lines."""
    text = re.sub(r"\b(shop|observer|app)_\d[\d_]*|\bupkeep_observer\b|\bapp_owner\b|\bpostgres\b(?!\))", "NAME", text)
    text = re.sub(r"\b(NAME|shop) \(", "NAME (", re.sub(r"upkeep --fleet \S+ ", "upkeep ", text))
    return " ".join(re.sub(r"\b[0-9a-f]{20}\b|\d+(\s\d{3})*", "0", text).split())


def page(language: str) -> list[str]:
    """Return the blocks of the page in one language."""
    text = (settings.checkout() / "docs" / "first_night.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def order(text: str, *parts: str) -> None:
    """Assert that the parts stand in a text in this order."""
    places = [text.index(part) for part in parts]
    assert places == sorted(places), dict(zip(parts, places, strict=True))


@pytest.fixture
def observer(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A shop's database as its administrator and as an observer reaches it."""
    with fresh_database(postgres_server, "shop") as uri, psycopg.connect(uri, autocommit=True) as db:
        role = f"observer_{db.info.backend_pid}"
        with psycopg.connect(uri, autocommit=True) as filling:
            filling.execute((HERE / "shop.sql").read_text())
        written = "select sum(n_tup_ins) > 0 from pg_stat_user_tables"  # counters come when the session has ended
        until(lambda: db.execute(written).fetchone() == (True,), 20)
        db.execute(f"create role {role} login password '{WORD}' nosuperuser")
        db.execute(f"grant usage on schema public to {role}; grant pg_read_all_stats to {role}")
        db.execute(f'grant select on all tables in schema public, "Reporting 2" to {role}')
        login = uri.split("://")[1].partition("@")[0]
        yield uri, uri.replace(login, f"{role}:{WORD}")
        db.execute(f"drop owned by {role}; drop role {role}")


def test_a_shop_on_postgres(newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch, observer: tuple[str, str]) -> None:
    admin, uri = observer
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", uri)
    screen = newcomer.begins()
    assert "works, observed only (mode: observe)" in screen
    assert "nothing declared for: backup (backup:), data retention (retain:)" in screen
    text = newcomer.text
    order(text, "Continued as it is", "public.shop_metric:", "What may go by its age", "shop_audit:", "shop_event:")
    order(text, "# public.shop_event:", "# public.django_session:", "# public.pgbench_history:", "No rule is proposed")
    order(text, "No rule", "# public.shop_order (", "# public.auth_user (", "# public.django_migrations (")
    assert {*newcomer.target.tables} == {"public.shop_metric"}
    assert newcomer.target.tables["public.shop_metric"].retain is None
    assert "foreign keys of public.shop_orderline point at it" in text
    assert "expire_date lies ahead in some rows" in text
    assert "retain: {by: expire_date, for: 1 day" in text
    assert "mtime has no time zone and is read as UTC" in text
    assert "# create index concurrently" not in text
    assert "no index leads with logged_at; first: create index concurrently on public.shop_audit" in text
    assert 'grant usage on schema "Reporting 2" to ' in text
    assert "recent_orders" not in text
    assert "orders_a_day" not in text

    planned = newcomer("plan", "partition_creation").stdout
    newcomer.uncomment("public.shop_event")
    newcomer.plans("data_retention")
    assert "blocked: observe only delete rows public.shop_event" in newcomer("plan", "data_retention").stdout
    found = json.loads(newcomer("plan", "data_retention", "--json").stdout)["targets"][0]["findings"]
    assert [f["severity"] for f in found if "(mode: enforce will need it)" in f["summary"]] == ["WARNING"]
    with psycopg.connect(admin) as db:
        assert db.execute("select count(*) from shop_event").fetchone() == (20_000,)

    # the page shows what is printed
    told = [text, screen, planned, newcomer("plan", "data_retention").stdout]
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", admin)
    enforced = newcomer.text.replace("mode: observe\n", "mode: enforce\n")
    (newcomer.folder / newcomer.name).write_text(enforced)
    waits = newcomer("run", "data_retention").stdout
    approved = newcomer("run", "data_retention", "--approve", str(re.findall(r"--approve (\w+)", waits)[0])).stdout
    printed = plain("\n".join([*told, waits, approved]))
    for line in "\n".join([*page("text"), *page("yaml")]).splitlines():
        known = line.strip().startswith(("…", "connection:", "shop:", "targets:", "wrote", "the ledger", "next:"))
        assert known or plain(line).removeprefix("NAME ") in printed, (line, plain(line))
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", uri)

    # nothing but mode stands between: enforced, the missing rights are errors again
    assert newcomer("plan", "data_retention").exit_code == 1
    assert newcomer("check").exit_code == 1


def test_of_thousands_of_tables_the_biggest_are_told_and_the_rest_counted(
    newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(
            "do $$ begin for n in 1 .. 2000 loop execute format("
            "'create table t%s (id int, created_at timestamptz, changed_at timestamptz)', n); end loop; end $$"
        )
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", database)
    assert newcomer("init", "--from", "theirs").exit_code == 0
    assert "… and 1940 smaller tables with a time column" in newcomer.text
    assert newcomer.text.count("created_at") >= 60


def test_sessions_and_events_on_mongodb(
    newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch, mongo_server: MongoServer
) -> None:
    with mongo_help.fresh_place(mongo_server, "visits") as place:
        documents.fill(place.db)
        place.db.command("createUser", "observer", pwd=WORD, roles=[{"role": "read", "db": place.name}])
        login = place.uri.split("://")[1].partition("@")[0]
        uri = place.uri.replace(login, f"observer:{WORD}")
        monkeypatch.setenv("AIRFLOW_CONN_THEIRS", uri)
        refused = newcomer("init", "--from", "theirs")
        assert refused.exit_code == 3
        assert f"authSource={place.name}" in refused.output
        monkeypatch.setenv("AIRFLOW_CONN_THEIRS", uri.replace("authSource=admin", f"authSource={place.name}"))
        newcomer.begins()
        text = newcomer.text
        order(text, "Continued as it is", "sessions:", "What may go by its age", "# events:", "No rule", "# users (")
        assert newcomer.target.collections["sessions"].ttl is not None
        assert newcomer.target.collections["readings"].timeseries is not None
        assert {*newcomer.target.collections} == {"sessions", "readings"}
        assert "no index leads with ts; declare one first" in text
        assert "overwrites the oldest itself: recent_errors" in text
        assert "active_users" not in text
        newcomer.uncomment("events")
        newcomer.plans("data_retention")
        place.db.command("dropUser", "observer")


def test_caches_and_streams_on_redis(
    newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> None:
    with redis_help.fresh_place(redis_server) as place:
        keys.fill(place.client)
        monkeypatch.setenv("AIRFLOW_CONN_THEIRS", place.uri)
        newcomer.begins()
        text = newcomer.text
        order(text, "# 'events:orders':", "'session:*':", "These do not expire", "cache:user:* (string)")
        assert {name: str(policy.ttl.at_most) for name, policy in newcomer.target.keys.items()} == {
            "cache:page:*": "1 hour",
            "session:*": "30 days",
        }
        assert newcomer.target.streams == {}
        newcomer.uncomment("'events:orders'")
        newcomer.plans("data_retention")
        assert newcomer.actions("data_retention") == []

        # who may look at the keys of two names only is told so
        rights = (settings.include_dir() / "redis/roles/observer.acl").read_text()
        rights = rights.replace("~logs:*", "~events:orders").replace("~sessions:*", "~session:*")
        for line in rights.splitlines():
            if line.startswith("ACL "):
                place.client.execute_command(*line.split())
        place.client.execute_command("ACL", "SETUSER", "upkeep_observer", f">{WORD}")
        login = place.uri.split("://")[1].partition("@")[0]
        monkeypatch.setenv("AIRFLOW_CONN_THEIRS", place.uri.replace(login, f"upkeep_observer:{WORD}"))
        newcomer.name = "second.yaml"
        newcomer.begins()
        assert {*newcomer.target.keys} == {"session:*"}
        assert "may not look at 1 stream besides" in newcomer.text
        place.client.execute_command("ACL", "DELUSER", "upkeep_observer")


@pytest.mark.tidb
def test_an_application_on_tidb(newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch, tidb_server: TidbServer) -> None:
    with tidb_help.fresh(tidb_server) as db:
        for statement in (HERE / "app.sql").read_text().split(";\n"):
            if statement.strip():
                db.run(statement)
        db.run(f"create user observer identified by '{WORD}'")
        db.run(f"grant select on {db.name}.* to observer")
        db.run("grant select on mysql.tidb to observer")
        login = db.uri.split("://")[1].partition("@")[0]
        monkeypatch.setenv("AIRFLOW_CONN_THEIRS", db.uri.replace(login, f"observer:{WORD}"))
        newcomer.begins()
        text = newcomer.text
        order(text, f"{db.name}.visits:", f"{db.name}.carts:", "What may go", f"# {db.name}.request_log:", "No rule")
        order(text, "No rule", f"# {db.name}.accounts (", f"# {db.name}.schema_migrations (")
        assert {*newcomer.target.tables} == {f"{db.name}.visits", f"{db.name}.carts"}
        newcomer.uncomment(f"{db.name}.request_log")
        newcomer.plans("data_retention")
        db.run("drop user observer")


def test_the_commands_of_the_page_are_commands() -> None:
    """Each with its options, as the command line reads them."""
    found = [line for block in page("sh") for line in block.splitlines() if re.search(r"(^| )upkeep ", line)]
    asked = [line.partition("upkeep ")[2].partition(" #")[0].split() for line in found if "venv" not in line]
    assert len(asked) >= 12
    for words in asked:
        rest = words[2:] if words[0] == "--fleet" else words
        command = main.commands[rest[0]]
        command.make_context(rest[0], rest[1:], resilient_parsing=False, parent=None).close()
