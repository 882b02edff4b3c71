-- The ledger's schema.
create schema upkeep;
