-- Take an index away while readers and writers go on. Refuses a transaction block.
drop index concurrently {index}
