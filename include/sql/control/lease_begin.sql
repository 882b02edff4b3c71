-- Write down who holds the lock, with a fence token higher than any before.
insert into upkeep.lease (identity, name, token, owner, backend_pid, acquired_at)
values (%(identity)s, %(lease)s, 1, %(owner)s, pg_backend_pid(), clock_timestamp())
on conflict (identity, name) do update
    set
        token = lease.token + 1,
        owner = excluded.owner,
        backend_pid = excluded.backend_pid,
        acquired_at = excluded.acquired_at,
        released_at = null
returning token, backend_pid;
