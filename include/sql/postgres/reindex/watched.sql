-- Let the server end our statement when we are gone: nobody would give way any more to who waits behind it.
select set_config('client_connection_check_interval', %(interval)s, false) as pinned_check_interval
