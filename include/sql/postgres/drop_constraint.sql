-- Takes away a constraint of ours; nothing happens when it is gone already.
alter table only {table} drop constraint if exists {name}
