-- Writes one record to the WAL in the open transaction. One that changed only unlogged tables would have none: then the
-- server commits asynchronously whatever the setting, and a crash, which empties such a table, forgets the commit too.
select pg_logical_emit_message(true, 'upkeep', 'a batch and its file') as place
