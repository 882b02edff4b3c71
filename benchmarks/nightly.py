"""The nightly run of the sample fleet through Airflow: all jobs, all engines, every gate, one after the other.

Goal: at most 60 s of wall time on two cores, Airflow warm. The first night has all the work of a new fleet, the
later ones what a normal night has; each is measured as Airflow's own record says, from the start of the first job
to the end of the last.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from benchmarks import report
from benchmarks.airflow_cost import api
from local.demo import NIGHTLY
from local.servers import temporary_directory

NIGHTS = 4
GOAL = 60


def main() -> bool:
    """Run the benchmark and return whether its goal is reached."""
    report.heading("nightly run of the sample fleet")
    state = temporary_directory()
    environment = {
        **os.environ,
        "UPKEEP_STATE_DIR": str(state),
        "UPKEEP_CONNECTIONS_FILE": str(state / "connections.json"),
    }
    local = [sys.executable, "-m", "local"]
    try:
        subprocess.run([*local, "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
        for _ in range(NIGHTS):
            subprocess.run([*local, "demo"], env=environment, check=True, stdout=subprocess.DEVNULL)
        nights = durations(state)
    finally:
        subprocess.run([*local, "down", "--remove"], env=environment, check=False, stdout=subprocess.DEVNULL)
    report.line("first night, everything to do", f"{nights[0]:8.1f} s")
    report.line("later nights", ", ".join(f"{seconds:.1f} s" for seconds in nights[1:]))
    reached = report.verdict("first night [s]", nights[0], GOAL, at_least=False)
    return report.verdict("later night, median [s]", statistics.median(nights[1:]), GOAL, at_least=False) and reached


def durations(state: Path) -> list[float]:
    """Return the seconds of each night, from the start of the first job to the end of the last, the oldest first."""
    starts: dict[str, list[datetime]] = {}
    ends: dict[str, list[datetime]] = {}
    with api(state) as client:
        for job in NIGHTLY:
            runs = client.get(f"/api/v2/dags/{job}/dagRuns").raise_for_status().json()["dag_runs"]
            if any(run["state"] != "success" for run in runs):
                raise RuntimeError(f"a run of {job} failed: {[run['state'] for run in runs]}")
            starts[job] = sorted(datetime.fromisoformat(run["start_date"]) for run in runs)
            ends[job] = sorted(datetime.fromisoformat(run["end_date"]) for run in runs)
    first, *_, last = NIGHTLY
    return [(end - start).total_seconds() for start, end in zip(starts[first], ends[last], strict=True)]


if __name__ == "__main__":
    main()
