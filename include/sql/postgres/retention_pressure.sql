-- What says "slow down" between two batches: how far the slowest replica is behind. NULL: there is none, or it idles.
select extract(epoch from max(r.replay_lag))::double precision as lag_seconds
from pg_stat_replication as r
