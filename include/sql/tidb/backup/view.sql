-- A view as SQL.
show create view {view}
