-- How much of a sequence's range is used: the nearer of its own end and the end of the column that it fills (an int4
-- column may have a bigint sequence). Descending ones run the other way. One that cycles never ends.
with ends as (
    select
        n.nspname,
        n.nspname || '.' || c.relname as subject,
        s.seqstart,
        s.seqincrement,
        has_sequence_privilege(c.oid, 'select') or has_sequence_privilege(c.oid, 'usage') as readable,
        case
            when has_sequence_privilege(c.oid, 'select') or has_sequence_privilege(c.oid, 'usage')
                then pg_sequence_last_value(c.oid)
        end as last_value,
        case
            when s.seqincrement > 0
                then
                    least(
                        s.seqmax,
                        case a.atttypid
                            when 'int2'::regtype then 32767
                            when 'int4'::regtype then 2147483647
                            else 9223372036854775807
                        end
                    )
            else greatest(
                s.seqmin,
                case a.atttypid
                    when 'int2'::regtype then -32768
                    when 'int4'::regtype then -2147483648
                    else -9223372036854775807
                end
            )
        end as last_possible
    from pg_sequence as s
    inner join pg_class as c on s.seqrelid = c.oid
    inner join pg_namespace as n on c.relnamespace = n.oid
    left join pg_depend as d
        on
            d.classid = 'pg_class'::regclass
            and d.objid = s.seqrelid
            and d.refclassid = 'pg_class'::regclass
            and d.deptype in ('a', 'i')
            and d.refobjsubid > 0
    left join pg_attribute as a on d.refobjid = a.attrelid and d.refobjsubid = a.attnum
    where not s.seqcycle and c.relpersistence <> 't'
)

select
    subject,
    last_value,
    last_possible,
    round(
        100.0 * (last_value::numeric - seqstart) / nullif(last_possible::numeric - seqstart, 0), 2
    )::float8 as value,
    null as state,
    null as why
from ends
where last_value is not null
union all
select
    'server',
    null,
    null,
    null,
    'unreadable',
    count(*) || ' of them may not be read: how much of their range is used is not known: '
    || 'grant select on all sequences in schema ' || string_agg(distinct quote_ident(nspname), ', ')
    || ' to ' || quote_ident(current_user)
from ends
where not readable
having count(*) > 0
order by value desc nulls first
limit 50;
