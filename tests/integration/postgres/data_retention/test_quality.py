"""`quality:`: rows that fail the owner's own expectations stay, and the rest goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from tests.harness.postgres import attached, count
from upkeep.cli import main

BETWEEN = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "min_value": 0}}
Upkeep = Callable[..., Result]


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture
def upkeep(database: str, control_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upkeep:
    """Runs a command against tables with the given ``retain`` and a suite of the given expectations."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", database)
    monkeypatch.setenv("AIRFLOW_CONN_UPKEEP_CONTROL", control_database)

    def run(retain: str, expectations: list[Any], *command: str) -> Result:
        (tmp_path / "own.json").write_text(json.dumps({"name": "own", "expectations": expectations}))
        lines = ["version: 1", "targets:", "  shop:", "    engine: postgres", "    connection: shop_db"]
        lines += ["    limits: {share: 100 %}", "    tables:"]
        for table in ("public.sales", "public.other"):
            lines += [f"      {table}:", f"        retain: {{by: at, for: 30 days, requires: nothing, {retain}}}"]
            lines += ["        quality: own.json"] if table == "public.sales" else []
        fleet = tmp_path / "fleet.yaml"
        fleet.write_text("\n".join(lines))
        return CliRunner().invoke(main, ["--fleet", str(fleet), *(command or ("run", "data_retention", "--json"))])

    return run


def sales(db: psycopg.Connection[Any], rows: int = 40) -> None:
    for name in ("sales", "other"):
        db.execute(f"create table {name} (id int primary key, at timestamptz, amount numeric(10,2), note text)")
        db.execute(f"insert into {name} select n, '2024-01-01', n, 'secret ' || n from generate_series(1, {rows}) n")


def told(result: Result) -> dict[str, Any]:
    (target,) = json.loads(result.stdout)["targets"]
    return dict(target)


def outcome(target: dict[str, Any], subject: str, kind: str = "rows") -> dict[str, Any]:
    return next(dict(a["outcome"]) for a in target["actions"] if a["subject"] == subject and kind in a["kind"])


@pytest.mark.parametrize("then", ["then: delete, precision: row", "archive"])
def test_what_fails_stays_and_the_rest_goes(
    db: psycopg.Connection[Any], upkeep: Upkeep, tmp_path: Path, then: str
) -> None:
    retain = f"then: archive, precision: row, into: {tmp_path}/archive" if then == "archive" else then
    sales(db, 60)
    db.execute("update sales set amount = -id where id <= 30")
    result = upkeep(retain, [BETWEEN])
    assert result.exit_code == 1, result.output
    target = told(result)
    assert outcome(target, "public.sales")["status"] == "skipped"
    assert outcome(target, "public.sales")["reason_code"] == "quality_failed"
    assert outcome(target, "public.other")["status"] == "done"
    assert (count(db, "sales"), count(db, "other")) == (60, 0)
    (finding,) = [f for f in target["findings"] if f["check"] == "quality"]
    (failed,) = finding["evidence"]["failed"]
    assert failed["unexpected"] == 30
    assert failed["rows"] == 60
    assert len(failed["keys"]) == 20
    assert all(set(key) == {"id"} and key["id"] <= 30 for key in failed["keys"])
    assert "30 of 60 rows: (id = 1), (id = 2), (id = 3), …" in finding["summary"]
    assert "secret" not in result.stdout
    db.execute("update sales set amount = id")
    assert upkeep(retain, [BETWEEN]).exit_code == 0
    assert count(db, "sales") == 0


def test_mostly_counts_over_all_batches(
    db: psycopg.Connection[Any], upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upkeep.postgres.data_retention.examined_rows.BATCH_ROWS", 7)
    sales(db, 100)
    db.execute("update sales set amount = -1 where id <= 7")  # the whole first batch, and 7 % of all
    strict = {"type": BETWEEN["type"], "kwargs": {"column": "amount", "min_value": 0, "mostly": 0.95}}
    assert upkeep("then: delete, precision: row", [strict]).exit_code == 1
    assert count(db, "sales") == 100
    loose = {"type": BETWEEN["type"], "kwargs": {"column": "amount", "min_value": 0, "mostly": 0.9}}
    assert upkeep("then: delete, precision: row", [loose]).exit_code == 0
    assert count(db, "sales") == 0


def test_rows_that_change_after_the_look_stay(
    db: psycopg.Connection[Any], upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    from upkeep.run import quality  # noqa: PLC0415 - patched

    sales(db)
    examine = quality.examine

    def and_then(*args: Any) -> Any:
        result = examine(*args)
        db.execute("update sales set amount = -1 where id = 3")
        db.execute("insert into sales values (99, '2024-01-01', -1, 'late')")
        return result

    monkeypatch.setattr(quality, "examine", and_then)
    result = upkeep("then: delete, precision: row", [BETWEEN])
    assert result.exit_code == 0, result.output
    assert [r[0] for r in db.execute("select id from sales order by 1").fetchall()] == [3, 99]


@pytest.mark.parametrize("then", ["then: delete", "archive"])
def test_partitions(db: psycopg.Connection[Any], upkeep: Upkeep, tmp_path: Path, then: str) -> None:
    retain = f"then: archive, into: {tmp_path}/archive" if then == "archive" else then
    for name in ("sales", "other"):
        db.execute(f"create table {name} (id int, at timestamptz, amount int) partition by range (at)")
        for month in (1, 2, 3):
            db.execute(
                f"create table {name}_{month} partition of {name} "
                f"for values from ('2024-0{month}-01+00') to ('2024-0{month + 1}-01+00')"
            )
            db.execute(f"insert into {name} values ({month}, '2024-0{month}-02+00', 1)")
        db.execute("create index on sales (at)") if name == "sales" else None
    db.execute("update sales set amount = -1 where id = 1")
    db.execute("analyze")
    result = upkeep(f"{retain}, grace: 0", [BETWEEN])
    assert result.exit_code == 1, result.output
    assert attached(db, "sales") == ["sales_1", "sales_3"]
    assert attached(db, "other") == ["other_3"]
    assert count(db, "sales", "id = 1") == 1
    (finding,) = [f for f in told(result)["findings"] if f["check"] == "quality"]
    assert finding["subject"] == "public.sales_1"


@pytest.mark.parametrize("below", [False, True], ids=["plain", "with sub-partitions"])
@pytest.mark.parametrize("grace", ["0 days", "1 day"])
def test_a_row_that_reaches_a_partition_after_the_look_keeps_it(
    db: psycopg.Connection[Any], upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch, grace: str, below: bool
) -> None:
    from upkeep.run import quality  # noqa: PLC0415 - patched

    for name in ("sales", "other"):
        db.execute(f"create table {name} (id int, at timestamptz, amount int) partition by range (at)")
        for month in (1, 2):
            bounds = f"for values from ('2024-0{month}-01+00') to ('2024-0{month + 1}-01+00')"
            parts = " partition by hash (id)" if below else ""
            db.execute(f"create table {name}_{month} partition of {name} {bounds}{parts}")
            if below:
                for rest in (0, 1):
                    db.execute(
                        f"create table {name}_{month}_{rest} partition of {name}_{month} "
                        f"for values with (modulus 2, remainder {rest})"
                    )
        db.execute(f"insert into {name} select n, '2024-01-02+00', 1 from generate_series(1, 20) n")
    db.execute("analyze")
    examine = quality.examine

    def and_then(action: Any, batches: Any) -> Any:
        result = examine(action, batches)
        if action.kind == "detach_partition":
            db.execute("insert into sales values (99, '2024-01-15+00', -1)")
        return result

    monkeypatch.setattr(quality, "examine", and_then)
    retain = f"then: delete, grace: {grace}"
    first = upkeep(retain, [BETWEEN])
    if grace == "1 day":
        assert first.exit_code == 0, first.output
        marked = "comment on table sales_1 is "
        text = db.execute("select obj_description('sales_1'::regclass)").fetchone()
        assert text is not None
        known = json.loads(text[0][text[0].index("{") :])
        known["drop_after"] = known["at"]
        db.execute(psycopg.sql.SQL(marked + "{}").format(text[0][: text[0].index("{")] + json.dumps(known)))  # type: ignore[arg-type]
        first = upkeep(retain, [BETWEEN])
    assert first.exit_code == 1, first.output
    drop = outcome(told(first), "public.sales", "drop")
    assert (drop["status"], drop["reason_code"]) == ("skipped", "quality_failed")
    (finding,) = [f for f in told(first)["findings"] if f["check"] == "quality"]
    assert finding["subject"] == "public.sales_1"
    assert (count(db, "sales_1"), count(db, "sales_1", "amount < 0")) == (21, 1)
    db.execute("update sales_1 set amount = 1")
    monkeypatch.setattr(quality, "examine", examine)
    assert upkeep(retain, [BETWEEN]).exit_code == 0
    assert db.execute("select to_regclass('sales_1')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("expectation", "says"),
    [
        ({"type": "expect_column_mean_to_be_between", "kwargs": {"column": "amount"}}, "needs a whole column"),
        ({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}}, "needs a whole column"),
        ({"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}}, "needs a whole column"),
        ({"kwargs": {}}, "needs type and kwargs"),
    ],
)
def test_a_suite_that_cannot_be_is_refused(upkeep: Upkeep, expectation: Any, says: str) -> None:
    result = upkeep("then: delete", [expectation])
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())
    assert "own.json" in result.output


def test_a_missing_column_keeps_the_rows(db: psycopg.Connection[Any], upkeep: Upkeep) -> None:
    sales(db)
    wrong = {"type": BETWEEN["type"], "kwargs": {"column": "nope", "min_value": 0}}
    result = upkeep("then: delete, precision: row", [wrong])
    assert result.exit_code == 1
    assert count(db, "sales") == 40
    unknown = {"type": "expect_column_values_to_be_lovely", "kwargs": {"column": "id"}}
    result = upkeep("then: delete, precision: row", [unknown])
    assert result.exit_code == 1
    assert count(db, "sales") == 40
