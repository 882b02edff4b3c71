-- One snapshot for all statements of this transaction; must be its first statement.
set transaction isolation level repeatable read
