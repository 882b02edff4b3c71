-- Comments of what the partitioned table has by the same name.
comment on {object} is {text}
