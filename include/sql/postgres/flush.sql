-- Writes one record to the WAL and commits it synchronously: with it, every batch before it is durable.
select pg_logical_emit_message(true, 'upkeep', 'batches are durable') as place
