-- A lease has a name: what is being done to the physical database. Only equal names exclude each other there, each
-- with fence tokens of its own. What an earlier version holds is a change.
alter table upkeep.lease
add column name text not null default 'change',
drop constraint lease_pkey,
add primary key (identity, name);
