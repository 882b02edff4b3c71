-- Extended statistics make way: the partitioned table's take their name.
alter statistics {statistics} rename to {name}
