-- Whether the schema is there: a role without CREATE on the database may use one made for it.
select to_regnamespace('upkeep') is not null as there;
