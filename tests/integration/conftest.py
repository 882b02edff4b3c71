"""What integration tests of whole runs begin with."""

from pathlib import Path

import pytest

from tests.harness.commands import Bed


@pytest.fixture
def bed(database: str, control_database: str, tmp_path: Path) -> Bed:
    """A fresh target, a fresh ledger, and the command line in processes of its own."""
    return Bed(database, control_database, tmp_path)
