-- Tries whether an extension can be made here (rolled back by the caller).
create extension {name} cascade
