"""What becomes of a backup, an event a row."""

from __future__ import annotations

from upkeep.migrations.statements import run

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    run(revision)


def downgrade() -> None:
    """Refuse, as the first migration does."""
    raise NotImplementedError("the ledger is never taken back by a migration")
