"""A round of health checks over 100 targets: seconds, processor time, and how the ledger grows, extrapolated to a day.

The targets are names of a few databases on real servers: what a look costs is the same whichever server answers.
Goals: a round of 100 targets ends within a minute; a day of rounds writes less than 500 MB into the ledger.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg

from benchmarks import airflow_cost, report, servers
from local.servers import start_mongo, start_redis, temporary_directory
from upkeep import connections, fleet
from upkeep.engines import Address
from upkeep.jobs import spec
from upkeep.ledger import Ledger
from upkeep.run import rounds, telling
from upkeep.run.runner import Runner

JOB = "health_check"
TARGETS = 100
ROUNDS = 6
A_DAY = 288
SIZES = "select sum(pg_total_relation_size(c.oid)) from pg_class c join pg_namespace n on n.oid = c.relnamespace"


def main() -> bool:
    """Run the benchmark and return whether its goals are reached."""
    report.heading(f"rounds: {JOB} of {TARGETS} targets")
    with _servers() as places, Ledger.open(places["control"], migrate=True) as ledger:
        engines = [name for name in places if name != "control"]
        names = {f"t{n:03}": engines[n % len(engines)] for n in range(TARGETS)}
        lines = "".join(f"  {name}: {{engine: {engine}, connection: {engine}}}\n" for name, engine in names.items())
        runner = Runner(fleet.parse(f"version: 1\ntargets:\n{lines}"), ledger, lambda name: places[name])
        report.line("engines", ", ".join(engines))
        _round(runner)  # writes every target down once
        before = _bytes(places["control"])
        took = [_round(runner) for _ in range(ROUNDS)]
        after = _bytes(places["control"])
        looks = _count(places["control"], "select avg(pg_column_size(l.*)) from upkeep.look as l")
        run = _count(places["control"], "select avg(pg_column_size(r.*)) from upkeep.run as r")
    seconds, cpu = (statistics.median(values) for values in zip(*took, strict=True))
    grown = {name: (after[name] - before[name]) / ROUNDS * A_DAY / 1e6 for name in after}
    report.line("a round, from start to end [s]", f"{seconds:.1f}")
    report.line("CPU of Upkeep, a round [s]", f"{cpu:.2f}")
    report.line("CPU of Upkeep, a day [s]", f"{cpu * A_DAY:.0f}")
    report.line("a look, one row [bytes]", f"{looks:.0f}")
    report.line("rows of runs, a day [MB]", f"{run * A_DAY / 1e6:.2f}")
    for name, size in grown.items():
        report.line(f"{name}, a day before thinning [MB]", f"{size:.1f}")
    report.line("looks kept of an older day [MB]", f"{grown['look'] * 24 / A_DAY:.1f}")
    _in_airflow()
    reached = report.verdict("a round [s]", seconds, 60, at_least=False)
    return report.verdict("the ledger, a day [MB]", sum(grown.values()), 500, at_least=False) and reached


def _in_airflow() -> None:
    """Time a round in a local stack of its own, its databases as its sample fleet's PostgreSQL."""
    tasks = len(rounds.groups([str(n) for n in range(TARGETS)])) + 3
    report.line("task instances, a day", tasks * A_DAY)
    with airflow_cost.stack() as (state, environment):
        airflow_cost.first_run(environment)  # the ledger is there
        for size in (1, TARGETS):
            cpu, seconds = airflow_cost.idle(state, size, JOB)
            text = f"{cpu * size:.1f} s of worker CPU, {seconds:.1f} s from start to end"
            report.line(f"in Airflow, a round of {size}", text)


def _round(runner: Runner) -> tuple[float, float]:
    """Do a round as a command does; return its seconds, and its seconds of processor time."""
    began, worked = time.perf_counter(), sum(os.times()[:2])
    run_id = runner.start(JOB, datetime.now(UTC), trigger="benchmark", actor="benchmark")
    names = runner.targets(JOB)
    seen = rounds.look_at_all(runner, run_id, names)
    rounds.conclude(runner, run_id, names, whole=True)
    runner.ledger.finish_run(run_id)
    telling.tell(runner)
    bad = [one for one in seen if one.error]
    if bad:
        raise RuntimeError(f"{bad[0].target}: {bad[0].error}")
    return time.perf_counter() - began, sum(os.times()[:2]) - worked


def _bytes(control: Address) -> dict[str, float]:
    """Return how large the ledger's looks and its rest are; partitions made ahead are empty and stay so."""
    return {
        "look": _count(control, f"{SIZES} where n.nspname = 'upkeep' and c.relname like 'look%%' and c.relkind = 'r'"),
        "rest": _count(
            control, f"{SIZES} where n.nspname = 'upkeep' and c.relname not like 'look%%' and c.relkind = 'r'"
        ),
    }


def _count(control: Address, query: Any) -> float:
    uri = {"host": control.host, "port": control.port, "user": control.user, "password": control.password}
    with psycopg.connect(dbname=control.database, **{k: v for k, v in uri.items() if v}) as connection:  # type: ignore[arg-type]
        row = connection.execute(query.replace("%%", "%")).fetchone()
        return float(row[0]) if row else 0.0


@contextmanager
def _servers() -> Iterator[dict[str, Address]]:
    """Start a server of each engine that the job has and that starts within seconds."""
    starts = {"mongo": start_mongo, "redis": start_redis}
    with ExitStack() as stack:
        server = stack.enter_context(servers.postgres())
        with psycopg.connect(server.uri(), autocommit=True) as connection:
            connection.execute("create database control")
            connection.execute("create database target")
        places = {
            "control": connections.parse(connections.CONTROL, server.uri("control")),
            "postgres": connections.parse("postgres", server.uri("target")),
        }
        for engine, start in starts.items():
            if engine in spec.JOBS[JOB].engines:
                other = start(temporary_directory())
                stack.callback(other.stop)
                places[engine] = connections.parse(engine, other.uri())
        yield places


if __name__ == "__main__":
    main()
