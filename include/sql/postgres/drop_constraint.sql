-- Takes away a constraint of ours; nothing happens when it is gone already.
alter table {table} drop constraint if exists {name}
