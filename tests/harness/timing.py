"""How long each test takes, and whether its file keeps to its budget.

The suite has a budget of its own (35 minutes on two quiet cores; 50 with eight jobs), so each file has one: 20 seconds,
or what ``tests/budgets.json`` says. A file that needs more is a warning at the end of a run; it fails the run with
``--budgets=fail`` (`make test-all`) only, for machines are noisy. ``--budgets=write`` writes down what this run took,
half as much again, for files that take long; read the difference before you commit it.

Time of a fixture counts for the test that asks for it first.
"""

import json
import math
from collections import Counter
from pathlib import Path

import pytest

BUDGETS = Path(__file__).resolve().parents[1] / "budgets.json"
DEFAULT_SECONDS = 20
SLOWEST = 30
WORTH_A_LINE = 0.5
SPARE = 1.5

_seconds: Counter[str] = Counter()


def budgets() -> dict[str, int]:
    """Return the budgets of files that need more than the default; seconds."""
    return dict(json.loads(BUDGETS.read_text()))


def add_options(parser: pytest.Parser) -> None:
    """Tell pytest of the options."""
    text = "files over their budget of seconds: warn, fail, or write what this run took into tests/budgets.json"
    parser.addoption("--budgets", choices=("warn", "fail", "write"), default="warn", help=text)


def record(report: pytest.TestReport) -> None:
    """Add the time of a test's setup, call or teardown."""
    _seconds[report.nodeid] += report.duration


def file_of(test: str) -> str:
    """Return a test's file, as budgets name it."""
    return test.partition("::")[0]


def by_file() -> Counter[str]:
    """Return the seconds of each file in this run."""
    found: Counter[str] = Counter()
    for test, seconds in _seconds.items():
        found[file_of(test)] += seconds
    return found


def over_budget() -> list[str]:
    """Return a line for each file that took more than its budget."""
    known = budgets()
    return [
        f"{file}: {seconds:.0f} s, budget {known.get(file, DEFAULT_SECONDS)} s"
        for file, seconds in by_file().most_common()
        if seconds > known.get(file, DEFAULT_SECONDS)
    ]


def summarise(reporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the slowest tests and the files over budget at the end of a run; or write the budgets down."""
    if not _seconds:
        return
    reporter.section(f"slowest {SLOWEST} of {len(_seconds)} tests ({sum(_seconds.values()):.0f} s in all)")
    for test, seconds in _seconds.most_common(SLOWEST):
        if seconds >= WORTH_A_LINE:
            reporter.write_line(f"{seconds:7.1f} s  {test}")
    if config.getoption("--budgets") == "write":
        long = {f: math.ceil(s * SPARE) for f, s in by_file().items() if s * SPARE > DEFAULT_SECONDS}
        kept = {f: s for f, s in budgets().items() if f not in by_file() and (config.rootpath / f).exists()}
        BUDGETS.write_text(json.dumps(dict(sorted({**kept, **long}.items())), indent=2) + "\n")
        return
    lines = over_budget()
    if lines:
        reporter.section("files over their budget (tests/harness/timing.py says what to do)")
    for line in lines:
        reporter.write_line(line, yellow=True)


def finish(session: pytest.Session) -> None:
    """With ``--budgets=fail``, let the run fail when a file took more than its budget."""
    controller = not hasattr(session.config, "workerinput")
    if controller and session.config.getoption("--budgets") == "fail" and session.exitstatus == 0 and over_budget():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
