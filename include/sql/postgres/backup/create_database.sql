-- An empty database with the locale of the one that was backed up.
create database {name} -- noqa: PRS
template template0 encoding {encoding} lc_collate {collate} lc_ctype {ctype}{provider} -- noqa: PRS
