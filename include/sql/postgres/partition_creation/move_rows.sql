-- Rows change their table in one statement: what is deleted there is exactly what is inserted here.
with gone as (
    delete from {default} as d
    where {belongs}
    returning {returned}
),

come as (
    insert into {child} ({columns}) select {columns} from gone
    returning 1
)

select
    (select count(*) from gone) as rows_deleted,
    (select count(*) from come) as rows_copied
