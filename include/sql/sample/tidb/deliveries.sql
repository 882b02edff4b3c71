-- Deliveries, a partition for each day, made by INTERVAL partitioning.
create table deliveries (
    id bigint not null,
    delivered_on date not null,
    parcel varchar(40) not null,
    primary key (id, delivered_on)
) partition by range columns (delivered_on) interval (1 day) -- noqa: PRS, LT01, LT06
first partition less than ({first}) last partition less than ({last})
