-- Where autovacuum is switched off: makes the space reusable now; locked tables are skipped, not waited for.
vacuum (skip_locked, analyze) {table}
