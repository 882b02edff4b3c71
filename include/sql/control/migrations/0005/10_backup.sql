-- What becomes of a backup, an event a row: unverified (published), verified, failed, expired; used: it authorised a
-- deletion. `evidence` is the artefact as it stands since then.
alter table upkeep.backup
add column backup text,
add column identity text,
add column event text,
add column run_id text;
