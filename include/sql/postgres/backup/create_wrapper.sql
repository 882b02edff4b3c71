-- A foreign-data wrapper that does nothing: what a restored foreign table leads to is never reached.
create foreign data wrapper upkeep_nowhere -- noqa: PRS
