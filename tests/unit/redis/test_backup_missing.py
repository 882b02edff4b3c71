"""What a machine lacks for a proof."""

from pathlib import Path

import pytest

from upkeep import programs
from upkeep.errors import NotAvailableError
from upkeep.jobs.backup.manifest import Manifest
from upkeep.redis.backup import rdb, scratch


def test_the_checker_that_reads_the_file_is_looked_for_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, **_: object) -> Path:
        if name == rdb.CHECKER:
            raise NotAvailableError("no checker")
        return Path(name)

    monkeypatch.setattr(programs, "find", find)
    (tmp_path / rdb.FILE).touch()
    manifest = Manifest.model_construct(needs={"major": 7, "memory": 0})
    assert list(scratch.missing(tmp_path, manifest)) == ["no checker"]
