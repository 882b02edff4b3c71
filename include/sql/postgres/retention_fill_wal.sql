-- Fills the rest of a WAL page with a message for nobody: the WAL writer puts whole pages on disk by itself.
select pg_logical_emit_message(false, 'upkeep', repeat('.', 16384)) as place
