"""The lives of findings, and what was looked at."""

from __future__ import annotations

from upkeep.migrations.statements import execute, run

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and their partitions."""
    run(revision)
    execute("ensure_partitions")


def downgrade() -> None:
    """Refuse, as the first migration does."""
    raise NotImplementedError("the ledger is never dropped by a migration; drop the tables by hand if you mean it")
