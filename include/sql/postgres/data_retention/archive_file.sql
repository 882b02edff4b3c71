-- Deletes one batch and sends exactly the rows that it deleted, as they are at that moment, for a Parquet file.
-- Every value is quoted and NULL is not, so that empty texts and NULL stay apart.
copy (
    delete from only {table} as t
    where {range} and {due}
    returning {returned}
) to stdout (format csv, force_quote *)
