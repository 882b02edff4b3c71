-- Rows that replication applies are written down too.
alter table {default} enable always trigger {trigger}
