-- Puts a detached partition back.
alter table {parent} attach partition {partition} for values from ({lower}) to ({upper})
