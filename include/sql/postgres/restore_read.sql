-- Sends the staged rows exactly as the archived ones were sent: the same bytes, or the rows are not the same.
copy (select {sent} from pg_temp.upkeep_restore) to stdout (format csv, force_quote *)
