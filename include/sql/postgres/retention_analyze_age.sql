-- The age column's statistics alone: what a deletion by age makes wrong first. The rest is left to autovacuum, whose
-- counters this does not reset.
analyze (skip_locked) {table} ({age})
