"""Leases have names: only equal ones exclude each other on a physical database."""

from __future__ import annotations

from upkeep.migrations.statements import run

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the name to the key."""
    run(revision)


def downgrade() -> None:
    """Refuse: the ledger is the record of what was done to data, and is not taken apart by a tool."""
    raise NotImplementedError("the ledger is never taken back by a migration")
