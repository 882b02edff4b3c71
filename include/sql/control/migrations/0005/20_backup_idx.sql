-- By what they are looked up: the events of a target's backups.
create index backup_event_idx on upkeep.backup (target, backup, recorded_at desc);
