-- The body of the function above.
declare
    gone {child};
    come {child};
begin
    if tg_op in ('UPDATE', 'DELETE') then
        if old.{key} >= {lower} and old.{key} < {upper} then
            gone := row({old_columns});
        end if;
    end if;
    if tg_op in ('INSERT', 'UPDATE') then
        if new.{key} >= {lower} and new.{key} < {upper} then
            come := row({new_columns});
        end if;
    end if;
    if not (gone is null) or not (come is null) then
        insert into {log} (old, new) values (gone, come);
    end if;
    return null;
end
