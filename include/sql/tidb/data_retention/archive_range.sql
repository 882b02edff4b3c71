-- Copies the due rows of one range into the archive and locks them, so that they stay what was copied. The mode, for
-- this statement alone, lets a row with the id 0 keep it in an archive that counts by itself.
insert /*+ set_var(sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO') */ into {archive} ({columns})
select {hint} {columns} from {source} where {range} and {predicate} {limit} for update -- noqa: PRS, AL02
