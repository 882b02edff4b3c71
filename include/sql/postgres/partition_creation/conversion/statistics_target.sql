-- How finely extended statistics are gathered, as before.
alter statistics {statistics} set statistics {target}
