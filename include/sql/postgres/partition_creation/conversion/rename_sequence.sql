-- The sequence of an identity makes way; and nobody draws from it while its place is taken over.
alter sequence {sequence} rename to {name}
