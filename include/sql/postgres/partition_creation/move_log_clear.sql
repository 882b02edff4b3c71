-- Forgets what has been carried over; in the same snapshot as the two statements before it.
delete from only {log}
