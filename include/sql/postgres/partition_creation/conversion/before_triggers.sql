-- Row triggers that run before a row is written and whose function's text or arguments name the column that is to be
-- the partition key; and whether the text sets that field of NEW. The partition is chosen before they run.
with named as (
    select
        t.tgname::text as name,
        p.prosrc as source,
        '\000' || encode(t.tgargs, 'escape') as arguments,
        regexp_replace(%(column)s, '(\W)', '\\\1', 'g') as word
    from pg_trigger as t
    inner join pg_proc as p on t.tgfoid = p.oid
    where
        t.tgrelid = %(oid)s::oid and not t.tgisinternal and t.tgenabled != 'D'
        and t.tgtype & 3 = 3 and t.tgtype & 20 != 0
),

fields as (
    select
        n.*,
        '\mnew\s*\.\s*"?' || n.word || '"?' as field
    from named as n
)

select
    f.name,
    f.source ~* format(
        '(^|;|\m(begin|then|else|loop)\M)\s*%%1$s\s*=|%%1$s\s*:=|\minto\s+(strict\s+)?%%1$s(\W|$)', f.field
    ) as assigns
from fields as f
where
    f.source ~* (f.field || '(\W|$)|[''"]' || f.word || '[''"]')
    or f.arguments ~ ('\\000' || f.word || '\\000')
order by f.name
