-- When the trigger fires, as it was.
alter table {table} {state} trigger {trigger}
