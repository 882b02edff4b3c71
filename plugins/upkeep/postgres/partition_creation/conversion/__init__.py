"""A plain table becomes a partitioned one: its first partition is the table itself."""
