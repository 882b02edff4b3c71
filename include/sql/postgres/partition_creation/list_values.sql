-- What declared values are as values of the column: as the type writes them, whether the column keeps them whole, and
-- which of the known values are equal to them, by the server's own equality.
select
    v.text,
    v.text::{typed}::text as canonical,
    v.text::{plain}{collation} = v.text::{typed}{collation} as kept,
    array(
        select k.text
        from unnest(%(known)s::text[]) as k (text)
        where k.text::{typed}{collation} = v.text::{typed}{collation}
    ) as equal
from unnest(%(texts)s::text[]) as v (text)
