"""Archives as Parquet files: rows of a table, a partition or a set into a store, looked at there, and back."""
