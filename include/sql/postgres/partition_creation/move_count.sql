-- How many rows the copy holds.
select count(*) as rows from {child}
