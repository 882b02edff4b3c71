-- What stands in the way of moving rows out of a default partition unseen: whatever else would react to the delete
-- (our own trigger, left by a run that was killed, is removed first).
select
    array(
        select t.tgname::text
        from pg_trigger as t
        where
            t.tgrelid = c.oid
            -- before 15 a partition's copy of its parent's trigger is called internal too
            and (not t.tgisinternal or (t.tgparentid != 0 and (t.tgconstraint = 0 or t.tgconstrrelid = 0)))
            and t.tgenabled != 'D' and t.tgname != 'zz_upkeep_move'
    ) as triggers,
    array(select r.rulename::text from pg_rewrite as r where r.ev_class = c.oid and r.ev_type != '1') as rules,
    array(
        select distinct x.conrelid::regclass::text
        from pg_constraint as x
        where x.confrelid = c.oid and x.contype = 'f' and x.conparentid = 0
    ) as referenced_by
from pg_class as c
where c.oid = %(oid)s::oid
