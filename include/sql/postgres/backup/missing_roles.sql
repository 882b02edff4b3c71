-- Roles that a backup names and this server has not.
select w.name from unnest(%(roles)s::text[]) as w (name)
where not exists (select from pg_roles as r where r.rolname = w.name)
order by 1
