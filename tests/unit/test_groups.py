"""Files that need the same heavy server go to the same process."""

import os
import subprocess
import sys

import pytest

from tests.harness import groups


@pytest.mark.parametrize(
    ("file", "group"),
    [
        ("tests/browser/test_report.py", "stack"),
        ("tests/integration/local/test_stack.py", "stack"),
        ("tests/airflow/test_runs.py", "airflow"),
        ("tests/integration/tidb/test_session.py", "tidb"),
        ("tests/integration/cli/test_init.py", "tidb"),
        ("tests/unit/cli/test_brief.py", "tests/unit/cli/test_brief.py"),
    ],
)
def test_the_group_of_a_file(file: str, group: str) -> None:
    assert groups.group_of(file) == group


@pytest.mark.slow
def test_a_file_stays_in_one_process() -> None:
    """As the suite is run: what a scheduler is told and what it does are two things."""
    files = ["tests/unit/cli/test_brief.py", "tests/unit/run/test_rules.py", "tests/unit/web/test_view.py"]
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--no-loadscope-reorder", *files]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    said = subprocess.run(command, cwd=groups.ROOT, env=clean, capture_output=True, text=True, check=True).stdout
    seen = {file: {line[:5] for line in said.splitlines() if file in line and line.startswith("[gw")} for file in files}
    assert all(len(processes) == 1 for processes in seen.values()), seen
    assert len(set.union(*seen.values())) == 2
