-- What others may do with the identity's sequence.
grant {privilege} on sequence {sequence} to {role}{again}
