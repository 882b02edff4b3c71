-- What became of a transaction: committed, aborted, in progress, or NULL when it is too long ago. Every id given until
-- now is below the one that this very statement takes: one that is not was lost in a crash before anything of it was
-- durable, so it is aborted.
select
    case
        when %(transaction)s::text::xid8 >= pg_current_xact_id() then 'aborted'
        else pg_xact_status(%(transaction)s::text::xid8)
    end as status
