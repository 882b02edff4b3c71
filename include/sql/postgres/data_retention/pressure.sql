-- What says "slow down" between two batches: how far the slowest replica is behind. NULL: there is none, or it idles.
-- The lag is as of the replica's last answer, and one that replays nothing answers only every ten seconds: while it
-- has flushed more than it has replayed, the time since then counts too (its clock's word: for a minute at most).
select
    max(
        extract(epoch from coalesce(r.replay_lag, '0') + case
            when r.replay_lsn < r.flush_lsn
                then least(greatest(clock_timestamp() - r.reply_time, '0'), interval '1 minute')
            else '0'
        end)
    )::double precision as lag_seconds
from pg_stat_replication as r
where r.replay_lsn is not null
