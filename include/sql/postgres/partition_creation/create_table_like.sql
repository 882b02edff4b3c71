-- A table of the parent's form, not yet part of it: nobody waits for this. Its indexes are made now, while it is
-- empty, so that ATTACH finds them ready. An identity stays the parent's.
create {persistence}table {child} (
    like {parent}
    including defaults including constraints including generated including storage including compression including indexes
){partitioned}{using}{options}{tablespace}
