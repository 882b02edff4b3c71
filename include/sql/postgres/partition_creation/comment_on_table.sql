-- Marks a table as ours (or no longer), for the run after a kill.
comment on table {table} is {text}
