-- Every database that we may see.
select s.schema_name as `schema`
from information_schema.schemata as s
order by s.schema_name
