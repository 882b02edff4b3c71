-- Orders' events, a partition for each month; the first two are older than a year, none is ahead.
create table {table} (
    id bigint not null,
    created_at datetime not null,
    order_id bigint not null,
    kind varchar(20) not null,
    amount decimal(10, 2) not null,
    primary key (id, created_at),
    key idx_created_at (created_at)
) partition by range columns (created_at) ({partitions}) -- noqa: PRS, LT01, LT06
