-- Writes the marker.
alter table {table} comment = {comment} -- noqa: PRS
