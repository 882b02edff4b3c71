-- The trigger moves: on both tables it would fire twice.
drop trigger {trigger} on {table}
