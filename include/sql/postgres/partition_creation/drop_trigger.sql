-- Takes our trigger off the default partition.
drop trigger if exists {trigger} on {default}
