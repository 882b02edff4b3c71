-- The partitioned table, under a name of its own for now: columns, defaults, checks, comments, storage as on the plain
-- one. Nobody waits for this.
create {persistence}table {parent} (
    like {table}
    including comments including compression including constraints
    including defaults including generated including storage
) partition by range ({key}){tablespace}
