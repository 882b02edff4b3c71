-- Copies rows back from a detached table, locked until they are deleted there.
insert into {table} ({columns}) select {columns} from {other} where {predicate} for update -- noqa: PRS
