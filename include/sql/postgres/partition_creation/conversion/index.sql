-- An index of the partitioned table, by the definition of the plain one's: ATTACH joins the two and builds none.
create {unique}index {name} on {table} {rest}
