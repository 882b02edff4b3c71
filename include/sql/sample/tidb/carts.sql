-- Carts that were left: TiDB itself removes them, 30 days after they were touched last.
create table carts (
    id bigint not null,
    updated_at datetime not null,
    content varchar(40) not null,
    primary key (id),
    key updated_at_idx (updated_at)
) ttl = updated_at + interval 30 day -- noqa: PRS, LT01, LT06
