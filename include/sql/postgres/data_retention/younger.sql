-- Whether a detached table holds a row that is not due: younger than the cut-off, or of no age.
select exists(select from {table} as t where t.{age} >= {cut_off} or t.{age} is null) as found
