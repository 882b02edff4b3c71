-- The moment of the newest snapshot of a target whose restore was verified.
select max(snapshot_at) as snapshot_at
from upkeep.backup
where target = %(target)s and verified_at is not null;
