-- Marks a constraint as ours, for the run after a kill.
comment on constraint {name} on {table} is {text}
