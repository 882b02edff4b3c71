-- Raises when a B-tree is not in order, or lacks a row of its table. Readers and writers go on.
select {function}(%(index)s::oid::regclass, true) as checked
