-- How many rows the planner believes to be due.
explain select 1 from {source} where {predicate}
