"""What people outside were told of a finding."""

from __future__ import annotations

from upkeep.migrations.statements import run

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    run(revision)


def downgrade() -> None:
    """Refuse, as the first migration does."""
    raise NotImplementedError("the ledger is never taken back by a migration")
