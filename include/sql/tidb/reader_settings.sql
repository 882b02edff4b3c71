-- How long the reading of rows for another target may take.
set session max_execution_time = %(milliseconds)s
