-- An application as people have it on TiDB, written for MySQL: accounts, orders, request logs, a table in days.
create table accounts (
    id bigint primary key auto_increment, email varchar(200) unique, created_at timestamp default current_timestamp,
    updated_at timestamp default current_timestamp on update current_timestamp
);
create table orders (
    id bigint primary key auto_increment, account_id bigint not null, created_at datetime not null, total decimal(10, 2),
    foreign key (account_id) references accounts (id)
);
create table request_log (id bigint primary key auto_increment, logged_at datetime(3) not null, path varchar(300));
create index by_time on request_log (logged_at);
create table mail_outbox (id bigint primary key auto_increment, queued datetime, sent_at datetime, body text);
create table carts (id bigint primary key, updated_at datetime not null) ttl = updated_at + interval 30 day;
create table schema_migrations (version varchar(200) primary key, applied_at datetime);
create table visits (day date not null, page varchar(100), n int, primary key (day, page))
partition by range columns (day) (
    partition p1 values less than ('2026-11-25'),
    partition p2 values less than ('2026-11-26'),
    partition p3 values less than ('2026-11-27')
);
create table settings (name varchar(100) primary key, value text);
create view recent_orders as select * from orders where created_at > date_sub(now(), interval 7 day);
insert into accounts (email) with recursive n (n) as (select 1 union all select n + 1 from n where n < 200)
select concat('user', n, '@example.test') from n;
insert into orders (account_id, created_at, total)
select id, date_sub(now(), interval id hour), id from accounts;
insert into request_log (logged_at, path)
select date_sub(now(), interval a.id + b.id minute), concat('/', b.id) from accounts as a, accounts as b where b.id <= 20;
insert into mail_outbox (queued, sent_at, body) select created_at, created_at, 'hello' from accounts;
insert into schema_migrations values ('001', now()), ('002', now());
insert into visits select date_sub('2026-11-26', interval id % 3 day), id, 1 from accounts;
analyze table accounts, orders, request_log, mail_outbox, carts, schema_migrations, visits, settings;
