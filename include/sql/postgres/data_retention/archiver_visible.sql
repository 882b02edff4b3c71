-- Whether WAL is archived here, and whether our role may look at the queue.
select
    current_setting('archive_mode') != 'off' as archiving,
    has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'execute') as visible
