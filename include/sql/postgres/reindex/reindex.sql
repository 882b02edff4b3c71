-- Build an index anew beside the old one, and put it in its place. Refuses a transaction block.
reindex index concurrently {index}
