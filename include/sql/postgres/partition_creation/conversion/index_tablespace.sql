-- Where the partitioned table's index will have the parts of later partitions.
alter index {index} set tablespace {tablespace}
