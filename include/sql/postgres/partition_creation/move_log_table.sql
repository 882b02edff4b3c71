-- What happens to the rows being moved while they are copied: as they were, and as they became.
create table {log} (old {child}, new {child})
