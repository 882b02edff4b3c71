"""What production tables of TiDB are like: altered for years, with time to live, odd keys, and settings of others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.servers import TidbServer
from tests.harness import tidb as help_
from tests.harness.jobs import Runs, all_done, on, undo
from tests.harness.tidb import Db
from upkeep.jobs.data_retention import pace
from upkeep.model import ReasonCode, Severity
from upkeep.tidb import server
from upkeep.tidb.catalog import Planned
from upkeep.tidb.data_retention import detach
from upkeep.tidb.data_retention.doomed import Doomed, archive, delete
from upkeep.tidb.sql import Sql

pytestmark = pytest.mark.tidb
KEEP = "retain: {by: at, for: 30 days, then: delete, requires: nothing, grace: 7 days}"
ROWS = "retain: {by: at, for: 30 days, then: delete, precision: row, requires: nothing}"
ARCHIVE = "retain: {by: at, for: 30 days, then: archive, into: kept, precision: row, requires: nothing}"
AT = on("2024-05-15 12:00")


@pytest.fixture
def db(tidb_server: TidbServer) -> Iterator[Db]:
    with help_.fresh(tidb_server) as made:
        yield made


def retention(policy: str, table: str = "events") -> Runs:
    return Runs("data_retention", help_.target({table: policy}, more="limits: {share: 100 %}"))


COLUMNS = "id bigint not null, at datetime, msg varchar(20), key (at)"


def months(db: Db, columns: str = COLUMNS, options: str = "") -> None:
    """Make a table of three months, a row for each day; the last partition is not due in May."""
    db.run(
        f"create table events ({columns}) {options} partition by range columns (at) "
        "(partition p1 values less than ('2024-02-01'), partition p2 values less than ('2024-03-01'), "
        "partition p3 values less than ('2024-07-01'))"
    )
    days = [on("2024-01-01") + timedelta(days=n) for n in range(100)]
    db.many("insert into events (id, at) values (%s, %s)", [(n, d.replace(tzinfo=None)) for n, d in enumerate(days)])


def plain(
    db: Db, columns: str = "id bigint primary key, at datetime, key (at)", name: str = "events", first: int = 0
) -> None:
    """Make a table of which the first fifty rows are due; ``first`` is the least id."""
    db.run(f"create table {name} ({columns})")
    values = [(n, f"2024-01-{n % 28 + 1:02d}") for n in range(50)] + [(n, "2024-05-10") for n in range(50, 80)]
    db.run("set allow_auto_random_explicit_insert = 1")
    db.many(f"insert into {name} (id, at) values (%s, %s)", [(first + n, at) for n, at in values])


def refusal(runs: Runs, db: Db, check: str) -> Any:
    with help_.session(db) as session:
        planned = runs.plan(session, AT)
    assert planned.actions
    assert all(a.blocked is not None for a in planned.actions)
    return next(f for f in planned.findings if f.check == check and f.severity is Severity.ERROR)


# -- partitions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        ["alter table events add column more int after id", "alter table events drop column msg"],
        ["alter table events drop index at", "alter table events add index at (at)"],
        ["alter table events add index id (id)", "alter table events drop index at", "alter table events add key (at)"],
    ],
    ids=["columns", "index", "indexes"],
)
def test_a_table_that_was_altered_is_exchanged_all_the_same(db: Db, changes: list[str]) -> None:
    """TiDB asks for equal internal numbers of columns and indexes, which a table made from the text does not have."""
    months(db, options="ttl = at + interval 1 year ttl_enable = 'OFF'")
    for change in changes:
        db.run(change)
    runs = retention(KEEP)
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert all_done(outcomes), outcomes
        assert db.value("select count(*) from events") == 40
        (other,) = [t for t in db.tables() if t.startswith("events__p2")]
        assert "TTL" not in db.run(f"show create table `{other}`")[0][1]
        assert runs.plan(session, AT).actions == ()
        for action, outcome in reversed(list(zip(planned.actions, outcomes, strict=True))):
            assert undo(runs.job, session, action, outcome).status == "done"
    assert db.tables() == ["events"]
    assert db.value("select count(*) from events") == 100
    db.run("admin check table events")


def test_what_tidb_does_not_exchange_is_left_with_the_way_out_and_leaves_nothing(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    months(db)
    monkeypatch.setattr(detach, "_copied", detach._prepared)
    db.run("alter table events drop index at")
    db.run("alter table events add index at (at)")
    with help_.session(db) as session:
        _, outcomes = retention(KEEP).run(session, AT)
    assert [(o.status, o.reason_code) for o in outcomes] == [("skipped", ReasonCode.NOT_SUPPORTED)] * 2
    assert "precision: row" in str(outcomes[0].message)
    assert db.tables() == ["events"]


def test_a_global_index_is_refused_before_anything_is_made(db: Db) -> None:
    months(db, "id bigint not null, at datetime, msg varchar(20) comment '/*T![global_index] GLOBAL */', key (at)")
    with help_.session(db) as session:
        assert all(a.blocked is None for a in retention(KEEP).plan(session, AT).actions)
    db.run("alter table events add unique index u (id) global")
    found = refusal(retention(KEEP), db, "global_index")
    assert "precision: row" in str(found.remedy)


def test_rows_without_a_time_come_back_also_when_they_cannot_be_counted(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    months(db)
    real, calls = detach._exchange, []

    def late(tools: Any, args: Any, here: Any) -> None:
        if args.lowest:
            db.run("insert into events (id) values (7777)")  # between the count and the exchange
            calls.append(here)
        monkeypatch.setattr(server, "count", lambda *_: 0)
        try:
            real(tools, args, here)
        finally:
            monkeypatch.setattr(server, "count", lambda *_: None)

    monkeypatch.setattr(detach, "_exchange", late)
    runs = retention(KEEP)
    with help_.session(db) as session:
        observed = runs.observe(session, AT)
        first = runs.job.plan(observed, runs.what).actions[0]
        outcome = runs.apply(session, first, observed)
    assert calls
    assert outcome.evidence["rows_returned"] == 1
    assert db.value("select count(*) from events where id = 7777") == 1


def test_keys_that_were_given_anew_stop_an_undo_and_lose_nothing(db: Db) -> None:
    months(db, "id bigint not null, at datetime not null, msg varchar(20), primary key (id, at)")
    runs = retention(KEEP)
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        db.run("insert into events values (40, '2024-02-10', 'anew')")
        action, outcome = planned.actions[1], outcomes[1]
        undone = undo(runs.job, session, action, outcome)
        assert undone.reason_code == ReasonCode.CONSERVATION
        assert "given anew" in str(undone.message)
        for _ in range(2):  # detached again; then what was left over returns
            _, outcomes = runs.run(session, AT)
            assert all_done(outcomes), outcomes
    counts = {table: db.value(f"select count(*) from `{table}`") for table in db.tables()}
    assert sum(counts.values()) == 101, counts
    assert db.value("select msg from events where id = 40") == "anew"


def test_a_detached_table_whose_table_is_gone_is_reported(db: Db) -> None:
    months(db)
    runs = retention(KEEP)
    with help_.session(db) as session:
        runs.run(session, AT)
        assert "orphan" not in {f.check for f in runs.plan(session, AT).findings}
        db.run("truncate table events")  # it has another id now
        found = [f for f in runs.plan(session, AT).findings if f.check == "orphan"]
    assert [f.subject.split(".")[1][:10] for f in found] == ["events__p1", "events__p2"]
    assert "drop table" in str(found[0].remedy)


def test_hostile_names_of_partitions(db: Db) -> None:
    hostile = ["p`1; drop table x; --", "maxvalue ' \" %s {x} 🐘", "P" * 64]
    quoted = ["`" + name.replace("`", "``") + "`" for name in hostile]
    bounds = ["2024-02-01", "2024-03-01", "2024-04-01"]
    parts = ", ".join(f"partition {q} values less than ('{b}')" for q, b in zip(quoted, bounds, strict=True))
    db.run(
        f"create table events (id bigint, at datetime, key (at)) partition by range columns (at) ({parts}, "
        "partition `last` values less than ('2024-07-01'))"
    )
    db.run("insert into events values (1, '2024-01-05'), (2, '2024-02-05'), (3, '2024-03-05'), (4, '2024-05-05')")
    runs = retention(KEEP)
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert all_done(outcomes), outcomes
        assert db.run("select id from events") == [(4,)]
        for action, outcome in reversed(list(zip(planned.actions, outcomes, strict=True))):
            undone = undo(runs.job, session, action, outcome)
            assert undone.status == "done", undone
    assert db.value("select count(*) from events") == 4
    assert db.bounds("events") == [*bounds, "2024-07-01"]


# -- archives ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "severity"),
    [
        ("create table kept like events", Severity.ERROR),  # TiDB copies the TTL
        ("create table kept (id bigint, at datetime) ttl = at + interval 30 day", Severity.ERROR),
        ("create table kept (id bigint, at datetime) ttl = at + interval 5 year", Severity.INFO),
        ("create table kept (id bigint, at datetime) ttl = at + interval 1 day ttl_enable = 'OFF'", Severity.INFO),
        (
            "create table kept (id bigint, at datetime, since datetime default now()) ttl = since + interval 1 year",
            Severity.INFO,
        ),
        ("create global temporary table kept (id bigint, at datetime) on commit delete rows", Severity.ERROR),
    ],
)
def test_an_archive_that_forgets_is_refused(db: Db, make: str, severity: Severity) -> None:
    plain(db)
    db.run("alter table events ttl = at + interval 10 day")
    db.run(make)
    db.run("alter table events ttl_enable = 'OFF'")
    runs = retention(ARCHIVE)
    with help_.session(db) as session:
        planned = runs.plan(session, AT)
    assert [f.severity for f in planned.findings if f.check == "archive_expires"] == [severity]
    assert (planned.actions[0].blocked is not None) == (severity is Severity.ERROR)


def test_the_remedy_for_a_missing_archive_says_that_a_copy_inherits_the_ttl(db: Db) -> None:
    plain(db)
    db.run("alter table events ttl = at + interval 10 day")
    assert "remove ttl" in str(refusal(retention(ARCHIVE), db, "archive").remedy)


def test_a_generated_column_must_be_computed_alike(db: Db) -> None:
    columns = "id bigint primary key, at datetime, twice bigint as ({}), key (at)"
    plain(db, columns.format("id * 2"))
    db.run(f"create table kept ({columns.format('id * 3')})")
    assert "another expression" in refusal(retention(ARCHIVE), db, "archive_drift").summary
    db.run("drop table kept")
    db.run(f"create table kept ({columns.format('`id`*2')})")
    with help_.session(db) as session:
        _, outcomes = retention(ARCHIVE).run(session, AT)
    assert all_done(outcomes)
    assert db.value("select count(*) from kept where twice = id * 2") == 50


def test_a_glob_never_means_an_archive(db: Db) -> None:
    plain(db)
    plain(db, name="e_other")
    db.run("create table e_kept like events")
    policy = {"events": ARCHIVE.replace("kept", "e_kept"), "e_*": ROWS, "ev*": ROWS}
    runs = Runs("data_retention", help_.target(policy, more="limits: {share: 100 %}"))
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert all_done(outcomes)
        assert [(a.kind, a.subject) for a in planned.actions] == [
            ("archive_rows", f"{db.name}.events"),
            ("delete_rows", f"{db.name}.e_other"),
        ]
        assert runs.plan(session, AT).actions == ()
    assert db.value("select count(*) from e_kept") == 50


def test_a_glob_never_means_a_detached_partition(db: Db) -> None:
    months(db)
    runs = Runs("data_retention", help_.target({"events": KEEP, "e*": ROWS}, more="limits: {share: 100 %}"))
    with help_.session(db) as session:
        planned, outcomes = runs.run(session, AT)
        assert all_done(outcomes)
        assert {a.subject for a in planned.actions} == {f"{db.name}.events"}
        detached = [name for name in db.tables() if name != "events"]
        assert sum(db.value(f"select count(*) from `{name}`") for name in detached) == 60
        assert runs.plan(session, AT).actions == ()


def test_an_archive_in_another_database_with_columns_of_its_own(db: Db) -> None:
    other = f"{db.name}_far"
    db.run(f"create database {other}")
    try:
        # to auto_random a zero means "choose one", and once in 32 times it chooses the id of another row
        plain(db, "id bigint primary key auto_random, at datetime, msg varchar(9) default 'x', key (at)", first=1)
        db.run(
            f"create table {other}.`the kept` (extra int, MSG varchar(30), id bigint primary key auto_random, "
            "since timestamp not null default now(), at datetime)"
        )
        before = set(db.run("select id, at, msg from events where at < '2024-04-15'"))
        with help_.session(db) as session:
            _, outcomes = retention(ARCHIVE.replace("into: kept", f"into: {other}.`the kept`")).run(session, AT)
        assert all_done(outcomes), outcomes
        assert set(db.run(f"select id, at, msg from {other}.`the kept`")) == before
        assert db.value("select count(*) from events") == 30
    finally:
        db.run(f"drop database {other}")


KEYED = "id bigint not null, at datetime not null, mail varchar(40) not null collate utf8mb4_general_ci, key (at)"


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [
        ("primary key (id)", "primary key (id)", None),
        ("primary key (id)", "key (id)", None),
        ("primary key (id)", "unique key (mail, id)", None),
        ("primary key (id)", "primary key (id), unique key m (mail)", "unique key m (mail)"),
        ("key (id)", "primary key (id)", "PRIMARY"),
        ("primary key (id)", "primary key (id), unique key i (mail) invisible", "unique key i"),
        ("unique key (mail)", "unique key m (mail(3))", "otherwise"),
        ("unique key (mail(3))", "unique key m (mail(5))", None),
        ("primary key (id)", "primary key (id), unique key e ((lower(mail)))", "lower"),
        ("unique key ((lower(mail)))", "unique key e ((lower(mail)))", None),
        ("primary key (id)", "no bigint auto_increment, primary key (no)", None),
        ("primary key (id)", "no bigint auto_random, primary key (no)", None),
        ("primary key (id)", "no varchar(36) default (uuid()), primary key (no)", None),
        ("primary key (id)", "no bigint default 1, unique key n (no)", "unique key n"),
        ("primary key (id)", "primary key (id), foreign key (id) references others (id)", "FOREIGN KEY"),
        ("primary key (id)", "primary key (id), constraint young check (at > '2024-03-01')", "young"),
        ("primary key (id), check (id >= 0)", "primary key (id), check (id >= 0)", None),
        ("primary key (id)", "primary key (id), constraint off check (at > '2024-03-01') not enforced", None),
    ],
)
def test_what_the_archive_asks_of_rows_is_known_before_the_first_moves(
    db: Db, ours: str, theirs: str, word: str | None
) -> None:
    db.run("create table others (id bigint primary key)")
    db.run("set global tidb_enable_check_constraint = 1")
    try:
        db.run(f"create table events ({KEYED}, {ours})")
        db.run(f"create table kept ({KEYED}, {theirs})")
    finally:
        db.run("set global tidb_enable_check_constraint = 0")
    values = [(n, f"2024-01-{n % 28 + 1:02d}", f"{n:02d}xx") for n in range(50)]
    db.many("insert into events (id, at, mail) values (%s, %s, %s)", values)
    if word is None:
        with help_.session(db) as session:
            _, outcomes = retention(ARCHIVE).run(session, AT)
        assert all_done(outcomes), outcomes
        assert db.value("select count(*) from kept") == 50
        return
    found = refusal(retention(ARCHIVE), db, "archive_drift")
    assert word in found.summary
    assert "kept" in str(found.remedy)
    assert db.value("select count(*) from kept") == 0


@pytest.mark.parametrize(
    ("ours", "theirs", "fits"),
    [
        ("utf8mb4_bin", "utf8mb4_general_ci", False),
        ("utf8mb4_general_ci", "utf8mb4_unicode_ci", False),
        ("utf8mb4_general_ci", "utf8mb4_bin", True),
        ("utf8mb4_bin", "utf8mb4_0900_bin", True),
        ("utf8mb4_0900_bin", "utf8mb4_bin", False),
    ],
)
def test_the_collation_of_an_archives_key_is_as_fine(db: Db, ours: str, theirs: str, fits: bool) -> None:
    text = "(k varchar(9) not null collate {}, at datetime, msg varchar(9) collate {}, key (at), primary key (k))"
    db.run(f"create table events {text.format(ours, theirs)}")
    db.run(f"create table kept {text.format(theirs, ours)}")  # what is no key may be compared in any way
    db.run("insert into events values ('a', '2024-01-01', 'x'), ('b', '2024-01-01', 'X')")
    with help_.session(db) as session:
        planned = retention(ARCHIVE).plan(session, AT)
    assert (planned.actions[0].blocked is None) == fits
    if not fits:
        (drift,) = [f for f in planned.findings if f.check == "archive_drift"]
        assert ours in str(drift.remedy)


def test_a_key_given_anew_stops_the_archiving_and_no_advice_loses_rows(db: Db) -> None:
    plain(db)
    db.run("create table kept like events")
    db.run("insert into kept values (3, '2020-01-01')")  # archived long ago; ids began anew since
    with help_.session(db) as session:
        _, outcomes = retention(ARCHIVE).run(session, AT)
    assert outcomes[0].status == "failed"
    text = str(outcomes[0].message)
    assert "nothing of this batch was moved" in text
    assert "delete" not in text.lower()
    assert db.run("select * from kept where id = 3")[0][1].year == 2020
    assert db.value("select count(*) from events") == 80


def test_an_id_of_zero_stays_zero_in_an_archive_that_counts(db: Db) -> None:
    plain(db, "id bigint, at datetime, key (at), primary key (id)")
    db.run("create table kept (id bigint auto_increment primary key, at datetime)")
    with help_.session(db) as session:
        _, outcomes = retention(ARCHIVE).run(session, AT)
    assert all_done(outcomes), outcomes
    assert db.run("select min(id), max(id), count(*) from kept") == [(0, 49, 50)]


def test_a_cached_archive_is_refused(db: Db) -> None:
    plain(db)
    db.run("create table kept like events")
    db.run("alter table kept cache")
    assert "nocache" in str(refusal(retention(ARCHIVE), db, "archive").remedy)


# -- rows --------------------------------------------------------------------------------------------


def test_a_foreign_key_written_in_other_letters_is_a_foreign_key(db: Db) -> None:
    plain(db)
    db.run(
        f"create table notes (id int primary key, event bigint, "
        f"foreign key (event) references {db.name.upper()}.EVENTS (id) on delete cascade)"
    )
    db.run("insert into notes values (1, 5)")
    assert "would change" in refusal(retention(ROWS), db, "foreign_keys").summary


def test_the_age_index_is_used_in_another_database_than_the_connections(db: Db) -> None:
    other = f"{db.name}_other`s"
    quoted = other.replace("`", "``")
    db.run(f"create database `{quoted}`")
    try:
        db.run(f"create table `{quoted}`.`ev``ents` (id bigint primary key, at datetime, key `by``age` (at))")
        due = Doomed(other, "ev`ents", None, "at", "timestamp", "2024-01-01 00:00:00", ("id",), "by`age")
        into = Planned(0, other, "ev`ents")
        with help_.session(db) as session:
            for statement in (
                delete(due, Sql("true"), due.by_age),
                archive(due, into, ["id", "at"], Sql("true"), due.by_age),
            ):
                plan = session.execute(Sql(f"explain {statement.text}")).rows
                assert session.execute(Sql("show warnings")).rows == []
                assert any("index:by`age" in row["access object"] for row in plan), plan
    finally:
        db.run(f"drop database `{quoted}`")


@pytest.mark.parametrize("policy", [ROWS, ARCHIVE])
def test_part_zero_dates_are_no_times_and_stop_nothing(db: Db, policy: str) -> None:
    plain(db)
    db.run("create table kept like events")
    db.run("set sql_mode = ''")
    db.run("insert into events values (900, '2023-00-00'), (901, '2024-02-00 10:00:00'), (902, '0000-00-00')")
    with help_.session(db) as session:
        _, outcomes = retention(policy).run(session, AT)
    assert all_done(outcomes), outcomes
    assert outcomes[0].rows == 50
    assert db.value("select count(*) from events where at < '2024-04-15'") == 3
    assert db.value("select count(*) from kept") == (50 if "kept" in policy else 0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("varchar(20) collate utf8mb4_general_ci", "concat(if(n % 2, 'K', 'k'), n)"),
        ("varchar(20) character set latin1", "concat('é', n)"),
        ("varbinary(20)", "concat(x'00ff5c27', n)"),
        ("char(20) collate utf8mb4_unicode_ci", "concat('ß ', n)"),
        ("decimal(30, 10)", "n - 20.0000000001"),
        ("bigint unsigned", "18446744073709551615 - n"),
        ("bigint", "-9223372036854775808 + n"),
        ("double", "n / 7"),
        ("float", "n / 7"),
        ("bit(40)", "n"),
        ("datetime(6)", "date_add('2024-01-01', interval n microsecond)"),
        ("time(3)", "sec_to_time(n - 30)"),
        ("enum('b', 'a', 'c')", "n % 3 + 1"),
        ("year", "1990 + n % 3"),
    ],
)
@pytest.mark.parametrize("policy", [ROWS, ARCHIVE])
def test_keys_of_every_type(db: Db, key: str, value: str, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an index on the age the ranges are those of the key; batches of seven rows."""
    db.run(f"create table events (k {key} not null, id bigint not null, at datetime, primary key (k, id) clustered)")
    db.run("create table kept like events")
    number = value.replace("%", "%%")
    at = "date_add('2024-01-01', interval (n %% 2) * 130 day)"
    insert = f"insert into events select {number}, n, {at} from (select %s as n) as one"
    db.many(insert, [(n,) for n in range(60)])
    before = set(db.run("select hex(cast(k as char)), id from events where at < '2024-04-15'"))
    assert len(before) == 30
    monkeypatch.setattr("upkeep.tidb.data_retention.batches.SMALLEST", 0)
    monkeypatch.setattr(pace.Pace.__init__, "__defaults__", (7, pace.TARGET_SECONDS, pace.LARGEST, None))
    monkeypatch.setattr(pace.Pace, "learn", lambda *_: None)
    with help_.session(db) as session:
        _, outcomes = retention(policy).run(session, AT)
    assert all_done(outcomes), outcomes
    assert outcomes[0].rows == 30
    assert db.value("select count(*) from events") == 30
    if policy == ARCHIVE:
        assert set(db.run("select hex(cast(k as char)), id from kept")) == before
