-- Takes the rows of one file.
copy pg_temp.upkeep_restore ({columns}) from stdin (format csv)
