-- One sequence for all append-only tables: ids tell the order in which things were written, across tables
-- (an approval before or after a plan) and where two moments are equal.
create sequence upkeep.entry_id as bigint;
