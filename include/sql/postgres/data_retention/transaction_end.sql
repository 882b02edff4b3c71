-- What became of a transaction: committed, aborted, in progress, 'other history', or NULL when nobody can know.
-- A physical copy, a restored backup and a promoted replica have the same identity and other transactions under the
-- same ids: only a server on the same timeline, past the WAL place that was noted, can know. Of an id that it has not
-- given yet it knows nothing. A copy of the disk that went on, or a disk put back, has the same timeline: what it calls
-- committed or aborted may be another transaction. So nothing is believed, neither a file removed nor counted, unless
-- the server ended the noted witnesses as they were, or, where none were noted, has not been started again since.
with witnesses as (
    select
        split_part(w.one, ':', 1)::xid8 as id,
        case split_part(w.one, ':', 2) when '1' then 'committed' else 'aborted' end as wanted
    from unnest(string_to_array(%(witness)s::text, ' ')) as w (one)
),

told as (
    select
        w.wanted,
        case when w.id >= pg_current_xact_id() then 'not given yet' else pg_xact_status(w.id) end as status
    from witnesses as w
),

seen as (
    select
        bool_and(coalesce(t.status = t.wanted, false)) as same,
        bool_or(coalesce(t.status != t.wanted, false)) as other
    from told as t
)

select
    case
        when %(place)s::text is null or %(timeline)s::text is null then null
        when
            substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) != %(timeline)s::text
            or pg_current_wal_insert_lsn() < %(place)s::text::pg_lsn
            or %(transaction)s::text::xid8 >= pg_current_xact_id()
            or s.other
            then 'other history'
        when %(witness)s::text is not null and s.same is not true then null
        when
            %(witness)s::text is null
            and coalesce(
                to_char(pg_postmaster_start_time() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') != %(started)s::text,
                true
            )
            then null
        else pg_xact_status(%(transaction)s::text::xid8)
    end as status
from seen as s
