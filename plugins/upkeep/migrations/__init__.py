"""Migrations of the ledger, run by alembic through `upkeep.ledger.schema`."""
