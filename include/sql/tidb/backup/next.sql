-- What a sequence would take next of all that it has: what servers have taken of it and not given out lies before.
show table {sequence} next_row_id
