-- For the statements that follow, outside of transactions.
set lock_timeout = {timeout}
