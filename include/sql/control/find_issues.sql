-- Findings whose fingerprint begins so; the exact one first.
select *
from upkeep.issue
where starts_with(fingerprint, %(prefix)s)
order by fingerprint != %(prefix)s, fingerprint
limit 4;
