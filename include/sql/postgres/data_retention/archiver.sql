-- Segments of WAL that wait to be archived: a bulk delete must not fill the disk of a server whose archiver is behind.
select count(*) as waiting
from pg_ls_archive_statusdir() as s
where s.name like '%%.ready'
