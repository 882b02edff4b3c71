-- Copies rows back from a detached table, locked until they are deleted there; an id of 0 stays one.
insert /*+ set_var(sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO') */ into {table} ({columns})
select {columns} from {other} where {predicate} for update -- noqa: PRS
