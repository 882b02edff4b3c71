"""``local sample``: the sample fleet's data."""

import argparse
import subprocess
import sys

from local.obtain import tidb as tidb_program
from local.sample import mongo, redis, tidb
from local.sample.loader import load
from local.stack import building, supervisor
from local.stack.servers import external_tidb
from upkeep import settings

READY_SECONDS = 60.0  # a built TiDB answers within seconds
BUILD_SECONDS = 1800.0  # a build takes 8 to 12 minutes, twice that on a busy machine


def main(arguments: argparse.Namespace) -> int:
    """Load what is absent; with ``--reset`` drop and load all; with ``--when-ready`` TiDB's part only, however late."""
    if arguments.when_ready:
        if tidb.load_when_ready(seconds=BUILD_SECONDS, go_on=lambda: supervisor.pid() is not None) is not None:
            building.put_back()
        return 0
    load(reset=arguments.reset)
    mongo.load(reset=arguments.reset)
    redis.load(reset=arguments.reset)
    _load_tidb(reset=arguments.reset)
    return 0


def _load_tidb(*, reset: bool) -> None:
    """Load TiDB's tables, or see that they are loaded as soon as it is built."""
    if tidb_program.installed() is not None or external_tidb():
        if tidb.load_when_ready(reset=reset, seconds=READY_SECONDS) is None:
            print("TiDB does not answer: its sample tables are loaded by the next `make run`")
        return
    print("TiDB is still being built: its sample tables are loaded when it is ready")
    log = supervisor.log_folder() / "tidb-sample.log"
    with log.open("a") as output:
        subprocess.Popen(
            [sys.executable, "-m", "local", "sample", "--when-ready"],
            cwd=settings.checkout(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
