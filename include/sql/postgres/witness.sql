-- Ends one small transaction for each bit, committed for 1 and rolled back for 0, and keeps their ids: a server on
-- which they all ended so is this one, whatever happened to it since; a copy of before has other transactions there.
do $$
declare
    bit text;
    ends text[] := '{{}}';
begin
    foreach bit in array string_to_array({bits}, null) loop
        ends := ends || (pg_current_xact_id()::text || ':' || bit);
        if bit = '1' then
            commit;
        else
            rollback;
        end if;
    end loop;
    perform set_config('upkeep.ends', array_to_string(ends, ' '), false);
end
$$
