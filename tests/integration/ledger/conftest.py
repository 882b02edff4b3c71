"""What the tests of the ledger share: one of their own, and its clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.values import Clock
from upkeep import connections
from upkeep.engines import Address
from upkeep.ledger import Ledger


@pytest.fixture
def address(control_database: str) -> Address:
    return connections.parse("upkeep_control", control_database)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(address: Address, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(address, migrate=True, clock=clock) as opened:
        yield opened
