"""A run with nothing to do over 100 parent tables and 4,000 partitions, beside pg_partman's over the same tables.

Goals: observe + plan at least 5 times as fast as ``run_maintenance_proc``; one or two catalog queries.
"""

from __future__ import annotations

import psycopg

from benchmarks import harness, report, servers
from local.servers import PostgresServer
from upkeep import engines
from upkeep.fleet import Target
from upkeep.jobs import rooms
from upkeep.postgres.session import PostgresSession

PARENTS = 100
PARTITIONS = 40
PREMAKE = 4
ROUNDS = 9
BARE = """
select i.inhparent, c.relname, pg_get_expr(c.relpartbound, c.oid)
from pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relispartition and c.relkind = 'r'
"""


def prepare(server: PostgresServer) -> None:
    """Create the tables, each with its index, in pg_partman's care."""
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        connection.execute("create schema partman")
        connection.execute("create extension pg_partman schema partman")
        for number in range(PARENTS):
            table = f"public.t{number:03}"
            connection.execute(f"create table {table} (id bigint, at timestamptz not null) partition by range (at)")
            connection.execute(f"create index on {table} (at)")
            connection.execute(
                "select partman.create_parent(%s, 'at', 'native', 'monthly', p_premake := %s, p_start_partition :="
                " to_char(date_trunc('month', now()) - make_interval(months => %s), 'YYYY-MM-DD'))",
                (table, PREMAKE, PARTITIONS - PREMAKE - 1),
            )
        connection.execute("update partman.part_config set infinite_time_partitions = true")
        connection.execute("vacuum analyze pg_catalog.pg_class")


def fleet() -> Target:
    """Return the same wish for Upkeep: four monthly partitions ahead of each table."""
    policy = {"partition": {"by": "at", "every": "1 month", "ahead": PREMAKE}}
    tables = {f"public.t{number:03}": policy for number in range(PARENTS)}
    return Target.model_validate({"name": "t", "engine": "postgres", "connection": "c", "tables": tables})


def main() -> bool:
    """Run the benchmark and return whether its goals are reached."""
    report.heading(f"nothing to do: {PARENTS} tables, {PARENTS * PARTITIONS} partitions")
    target, job = fleet(), rooms.job("partition_creation", "postgres")
    assert job is not None  # noqa: S101
    with servers.postgres() as server:
        prepare(server)
        with (
            psycopg.connect(server.uri(), autocommit=True) as plain,
            engines.engine("postgres").open(servers.address(server), application="benchmark") as session,
        ):
            assert isinstance(session, PostgresSession)  # noqa: S101
            sent: list[str] = []

            def upkeep() -> None:
                observation = harness.look(session, target, "partition_creation")
                plan = job.plan(observation, target)
                if plan.actions:
                    raise RuntimeError(f"there should be nothing to do, but: {plan.actions[0].reason}")

            session.trace = sent.append
            upkeep()
            session.trace = None
            timings = report.interleaved(
                ROUNDS,
                upkeep=upkeep,
                partman=lambda: plain.execute("call partman.run_maintenance_proc()"),
                bare=lambda: plain.execute(BARE).fetchall(),
            )
    report.line("Upkeep, observe + plan", timings["upkeep"])
    report.line("pg_partman, run_maintenance_proc", timings["partman"])
    report.line("the bare catalog query", timings["bare"])
    report.line("statements that Upkeep sent", len(sent))
    report.line("Upkeep ÷ the bare catalog query", f"{timings['upkeep'].median / timings['bare'].median:.2f}")
    return report.verdict(
        "times as fast as pg_partman", timings["partman"].median / timings["upkeep"].median, 5, at_least=True
    )


if __name__ == "__main__":
    main()
