-- The ledger's version: the newest migration that was applied.
select version_num as version from upkeep.alembic_version;
