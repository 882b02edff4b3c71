"""What people see in the browser: the report of a run."""
