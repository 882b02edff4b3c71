-- Whether nobody would clean up after a large deletion.
select
    not current_setting('autovacuum')::boolean
    or exists (
        select
        from unnest(c.reloptions) as o (setting)
        where o.setting in ('autovacuum_enabled=false', 'autovacuum_enabled=off')
    ) as off
from pg_class as c
where c.oid = %(oid)s
