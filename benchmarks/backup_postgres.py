"""What proving costs: backup and verification beside a plain pg_dump and pg_restore of the same database.

``python -m benchmarks.backup_postgres [ROWS]`` starts a server of its own and prints both times and their ratio.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from local import tools
from local.servers import start_postgres, temporary_directory
from tests.harness.copying import Copying
from upkeep.postgres.backup.take import JOBS


def fill(uri: str, rows: int) -> None:
    with psycopg.connect(uri, autocommit=True) as db:
        for number in range(4):
            db.execute(f"create table t{number} (id bigint, at timestamptz, text text, value float8)")
            db.execute(
                f"insert into t{number} select i, now() - i * interval '1 s', md5(i::text), random() "
                f"from generate_series(1, {rows // 4}) i"
            )
            db.execute(f"alter table t{number} add primary key (id)")
            db.execute(f"create index on t{number} (at)")


def main(rows: int) -> None:
    folder = tools.lay()
    directory = temporary_directory()
    with start_postgres(directory) as server, tempfile.TemporaryDirectory() as out:
        with psycopg.connect(server.uri(), autocommit=True) as db:
            db.execute("create database source")
            db.execute("create database copy")
        fill(server.uri("source"), rows)
        started = time.monotonic()
        dump = f"{out}/dump"
        words = ["--format=directory", f"--jobs={JOBS}", f"--file={dump}", server.uri("source")]
        subprocess.run([folder / "pg_dump", *words], check=True)
        dumped = time.monotonic() - started
        subprocess.run([folder / "pg_restore", f"--jobs={JOBS}", f"--dbname={server.uri('copy')}", dump], check=True)
        plain = time.monotonic() - started
        copying = Copying("postgres", server.uri("source"), Path(out) / "backups")
        started = time.monotonic()
        found = copying.take()
        taken = time.monotonic() - started
        verdict = copying.verify(found)
        whole = time.monotonic() - started
    shutil.rmtree(directory)
    print(f"{rows:,} rows, {JOBS} jobs")
    print(f"pg_dump {dumped:.1f} s, with pg_restore {plain:.1f} s")
    print(f"backup {taken:.1f} s, with its proof ({verdict.level}) {whole:.1f} s: {whole / plain:.2f} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
