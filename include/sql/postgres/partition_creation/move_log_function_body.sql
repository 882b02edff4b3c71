-- The body of the function above.
declare
    gone {child};
    come {child};
begin
    if tg_op in ('UPDATE', 'DELETE') then
        if {old_belongs} then
            gone := row({old_columns});
        end if;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        if {new_belongs} then
            come := row({new_columns});
        end if;
    end if;
    if not (gone is null) or not (come is null) then
        insert into {log} (old, new) values (gone, come);
    end if;
    return null;
end
