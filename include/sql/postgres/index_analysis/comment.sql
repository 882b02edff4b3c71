-- Give an index the comment that it had.
comment on index {index} is {text}
