-- Who holds the lock on a physical database, since when.
select owner, acquired_at
from upkeep.lease
where identity = %(identity)s and released_at is null;
