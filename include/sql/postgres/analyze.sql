-- Fresh statistics after many rows went; locked tables are skipped, not waited for.
analyze (skip_locked) {table}
