"""${message}."""

from __future__ import annotations

from upkeep.migrations.statements import execute, run

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Run the statements of include/sql/control/migrations/<revision>/."""
    run(revision)
    execute("ensure_partitions")


def downgrade() -> None:
    """Refuse: the ledger is a record."""
    raise NotImplementedError("the ledger is never taken back by a migration")
