-- Extensions that a backup needs and this server cannot make.
select w.name from unnest(%(extensions)s::text[]) as w (name)
where not exists (select from pg_available_extensions as a where a.name = w.name)
order by 1
