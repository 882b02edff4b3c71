-- Makes an empty table whose columns and indexes have the same internal numbers as the table's: an exchange asks for
-- that, and a table made from its text has others once columns or indexes were dropped or made anew.
create table {other} like {table} -- noqa: PRS
