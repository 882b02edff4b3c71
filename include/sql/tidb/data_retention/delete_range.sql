-- Deletes the due rows of one range.
delete {hint} from {source} where {range} and {predicate} -- noqa: PRS
