-- A temporary table of the columns that a file has, with the types of the table that gets them: it takes the file's
-- rows first, so that they are compared with what was archived before any of them is anywhere else.
create temporary table upkeep_restore on commit drop as
select {columns} from {into} with no data
