-- What our user may do: without PROCESS the transactions of others are left out, and nothing says so.
show grants
