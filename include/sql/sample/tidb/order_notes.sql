-- Notes on orders. Some have no time: they lie in the lowest partition, which therefore has to stay.
create table order_notes (
    id bigint not null,
    created_at datetime,
    note varchar(80) not null,
    key idx_created_at (created_at)
) partition by range columns (created_at) ({partitions}) -- noqa: PRS, LT01, LT06
