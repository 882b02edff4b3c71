-- Copies the due rows of one range into the archive and locks them, so that they stay what was copied.
insert into {archive} ({columns})
select {hint} {columns} from {source} where {range} and {predicate} {limit} for update -- noqa: PRS, AL02
