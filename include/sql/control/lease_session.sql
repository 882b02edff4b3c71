-- Which server process answers. Asked again while another session is busy: a pooler that lends sessions for
-- single transactions answers from another process.
select pg_backend_pid() as backend_pid;
