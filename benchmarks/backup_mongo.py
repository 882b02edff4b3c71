"""What a backup of MongoDB costs: its taking and its proof beside a plain cursor over the same documents.

``python -m benchmarks.backup_mongo [DOCUMENTS]`` starts a server of its own, and prints the three rates and their
ratios, measured in one run: a machine that is busy slows all of them.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymongo

from local import tools
from local.servers import start_mongo, temporary_directory
from tests.harness.copying import Copying

COLLECTIONS = 3
PAD = "a text of some words, as documents have it, number "


def fill(uri: str, documents: int) -> None:
    with pymongo.MongoClient(uri) as client:
        database: Any = client.get_default_database()
        for number in range(COLLECTIONS):
            collection = database[f"c{number}"]
            for begin in range(0, documents // COLLECTIONS, 10_000):
                collection.insert_many([document(n) for n in range(begin, begin + 10_000)])
            collection.create_index("at")


def document(number: int) -> dict[str, Any]:
    return {"at": number, "name": f"{PAD}{number}", "values": [number * 0.5] * 5, "of": {"a": number, "b": PAD}}


def read(uri: str) -> int:
    """Read everything with a plain cursor; return how many bytes that were."""
    with pymongo.MongoClient(uri) as client:
        database: Any = client.get_default_database()
        for number in range(COLLECTIONS):
            for _ in database[f"c{number}"].find():
                pass
        return int(database.command("dbStats")["dataSize"])


def timed(do: Callable[[], Any]) -> tuple[float, Any]:
    started = time.monotonic()
    found = do()
    return time.monotonic() - started, found


def main(documents: int) -> None:
    tools.lay()
    directory = temporary_directory()
    with tempfile.TemporaryDirectory() as out:
        server = start_mongo(directory)
        try:
            uri = server.uri("source")
            fill(uri, documents)
            read(uri)
            plain, size = timed(lambda: read(uri))
            copying = Copying("mongo", uri, Path(out))
            took, found = timed(copying.take)
            proof, verdict = timed(lambda: copying.verify(found))
        finally:
            server.stop()
            shutil.rmtree(directory, ignore_errors=True)
    megabytes = size / 2**20
    print(f"{documents:,} documents in {COLLECTIONS} collections, {megabytes:,.0f} MiB")
    print(f"a plain cursor {plain:.1f} s: {megabytes / plain:.1f} MiB/s")
    print(f"the backup {took:.1f} s: {megabytes / took:.1f} MiB/s, {took / plain:.2f} times")
    print(f"its proof ({verdict.level}) {proof:.1f} s: {megabytes / proof:.1f} MiB/s, {proof / plain:.2f} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000)
