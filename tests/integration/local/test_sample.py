"""The sample fleet on a real server: what is in it, the documented look-ups, loading twice."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from local.sample.loader import load_into
from local.servers import PostgresServer
from tests.harness import postgres as creation_help
from tests.harness.postgres import creation
from tests.harness.servers import fresh_database
from upkeep import fleet, settings
from upkeep.model import Severity

ALERTS = "public.alerts_configuration"


@pytest.fixture(scope="module")
def sample_uri(postgres_server: PostgresServer) -> Iterator[str]:
    with fresh_database(postgres_server, "sample") as uri:
        assert load_into(uri) is True
        yield uri


@pytest.fixture
def sample(sample_uri: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(sample_uri, autocommit=True) as connection:
        yield connection


def value(connection: psycopg.Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def test_half_a_million_measurements_over_several_months(sample: psycopg.Connection) -> None:
    assert 450_000 < value(sample, "select count(*) from pipeline_metrics") < 600_000
    months = value(sample, "select count(distinct date_trunc('month', timestamp)) from pipeline_metrics")
    assert months >= 5


def test_loading_again_changes_nothing_and_brings_nothing_back(sample: psycopg.Connection, sample_uri: str) -> None:
    sample.execute("delete from pipeline_progress where timestamp < now() - interval '90 days'")
    before = value(sample, "select count(*) from pipeline_progress")
    assert load_into(sample_uri) is False
    assert value(sample, "select count(*) from pipeline_progress") == before


HARD_CASES = {
    "an index that is there twice": (
        "select count(*) = 2 from pg_index where indrelid = 'import_batches'::regclass and not indisunique"
    ),
    "rows of a missing month in a default partition": (
        "select count(*) > 1000 from pipeline_progress_default where timestamp < now()"
    ),
    "rows of next month in a default partition": (
        "select count(*) = 40 from pipeline_progress_default where timestamp > now() and timestamp < now() + '2 months'"
    ),
    "one row far ahead": "select count(*) = 1 from pipeline_metrics_default where timestamp > now()",
    "a foreign key to a partitioned table": (
        "select count(*) = 1 from pg_constraint where contype = 'f' and confrelid = 'pipeline_logs'::regclass"
        " and conparentid = 0"
    ),
    "a hostile name": """select to_regclass('public."Audit Log; drop table x""--''"') is not null""",
    "rows without an age": "select count(*) > 1000 from import_batches where finished_at is null",
    "storage settings on every leaf": (
        "select count(*) = 0 from pg_class where relkind = 'r' and relname ~ '^pipeline_(logs|metrics|progress)_'"
        " and relname <> 'pipeline_log_annotations' and (reloptions is null or not reloptions @>"
        " array['autovacuum_vacuum_scale_factor=0.1', 'autovacuum_analyze_scale_factor=0.05'])"
    ),
}


@pytest.mark.parametrize("case", HARD_CASES)
def test_hard_case(sample: psycopg.Connection, case: str) -> None:
    assert value(sample, HARD_CASES[case]) is True


LOOK_UPS = {  # condition → partitions that have to be looked at
    "region = 'us-east' and server_id = 'server-4'": 1,
    "region = 'us-east' and metric_name = 'replication_lag'": 4,
    "server_id = 'server-4'": 12 // 4,  # one hash partition of each region
    "metric_name = 'replication_lag'": 12,
    "contact_email = 'team-3@example.com'": 12,
}


@pytest.mark.parametrize("condition", LOOK_UPS)
def test_documented_look_up_uses_an_index_on_the_fewest_partitions(sample: psycopg.Connection, condition: str) -> None:
    sample.execute("set enable_seqscan = off")  # the tables are small: the question is whether an index serves
    query = f"explain (format json) select threshold from alerts_configuration where {condition}"
    (plan,) = value(sample, query)
    nodes = list(walk(plan["Plan"]))
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}
    assert len({node["Relation Name"] for node in nodes if "Relation Name" in node}) == LOOK_UPS[condition]


def test_the_fleet_file_declares_the_alerts_as_they_are_and_one_region_more(
    sample: psycopg.Connection, sample_uri: str
) -> None:
    target = fleet.load(settings.include_dir() / "fleet.yaml").target("pipeline")
    alone = target.model_copy(update={"tables": {ALERTS: target.tables[ALERTS]}})
    with creation_help.session(sample_uri) as session:
        plan = creation(alone).plan(session)
    (action,) = plan.actions
    assert action.detail == "public.alerts_configuration_sa_east, 'sa-east', with 4 sub-partitions"
    assert [leaf["remainder"] for leaf in action.args["below"]["leaves"]] == [0, 1, 2, 3]
    assert [f.check for f in plan.findings if f.severity is not Severity.INFO] == []


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from walk(child)
