-- A foreign server that the backup names, leading nowhere.
create server {name} foreign data wrapper upkeep_nowhere
