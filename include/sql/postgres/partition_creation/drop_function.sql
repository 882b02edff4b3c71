-- Drops our trigger's function.
drop function if exists {function}()
