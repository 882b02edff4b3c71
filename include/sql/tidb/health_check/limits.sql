-- What a check may take of the server.
set session max_execution_time = %(milliseconds)s
