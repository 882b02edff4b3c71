-- An index makes way: the partitioned table's takes its name. Readers and writers pass.
alter index {index} rename to {name}
