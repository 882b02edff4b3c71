"""The ledger's tables and the partitions of the present and the next three months."""

from __future__ import annotations

from upkeep.migrations.statements import execute, run

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    run(revision)
    execute("ensure_partitions")


def downgrade() -> None:
    """Refuse: the ledger is the record of what was done to data, and is not dropped by a tool."""
    raise NotImplementedError("the ledger is never dropped by a migration; drop the schema by hand if you mean it")
