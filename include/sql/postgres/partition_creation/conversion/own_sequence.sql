-- The sequence of a serial column belongs to the table under whose name it is known.
alter sequence {sequence} owned by {column}
