-- The ledger's database and its role. Run it as a superuser, or as the role that a managed service calls its
-- administrator, on the server that is to hold the ledger, not on one in care if you can; then: \password
-- upkeep_control, point the connection `upkeep_control` at it, and run `upkeep init`.
create role upkeep_control with login nosuperuser nocreatedb nocreaterole noreplication;

-- Who is no superuser may only give a database to a role that he is a member of.
grant upkeep_control to current_user;
create database upkeep_control owner upkeep_control;
revoke connect on database upkeep_control from public;
revoke upkeep_control from current_user;
