-- Whether texts are compared by the newer collations, which is chosen when a cluster is born.
select c.variable_value as newer
from mysql.tidb as c
where c.variable_name = 'new_collation_enabled'
