-- A web shop as people have it: a Django-like application, what pgbench left, a reporting schema of somebody else's.

create table auth_user (
    id serial primary key,
    password varchar(128) not null,
    last_login timestamptz,
    username varchar(150) not null unique,
    date_joined timestamptz not null
);
create table auth_group (id serial primary key, name varchar(150) not null unique);
create table auth_user_groups (
    id bigserial primary key,
    user_id int not null references auth_user deferrable initially deferred,
    group_id int not null references auth_group deferrable initially deferred,
    unique (user_id, group_id)
);
create table django_session (
    session_key varchar(40) primary key,
    session_data text not null,
    expire_date timestamptz not null
);
create index on django_session (expire_date);
create table django_migrations (
    id bigserial primary key,
    app varchar(255) not null,
    name varchar(255) not null,
    applied timestamptz not null
);
create table django_admin_log (
    id serial primary key,
    action_time timestamptz not null,
    object_repr varchar(200) not null,
    user_id int not null references auth_user
);
create table shop_order (
    id bigserial primary key,
    user_id int not null references auth_user,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    total numeric(10, 2) not null
);
create table shop_orderline (
    id bigserial primary key,
    order_id bigint not null references shop_order,
    sku text not null,
    amount int not null
);
create table shop_event (
    id bigserial primary key,
    created_at timestamptz not null,
    kind text not null,
    path text
);
create index on shop_event (created_at);
create table shop_audit (
    id uuid primary key default gen_random_uuid(),
    logged_at timestamptz not null,
    change jsonb not null
);
create table shop_metric (at timestamptz not null, name text not null, value double precision)
partition by range (at);
create view recent_orders as select * from shop_order where created_at > now() - interval '7 days';
create materialized view orders_a_day as select date_trunc('day', created_at) as day, count(*) from shop_order group by 1;

create table pgbench_branches (bid int primary key, bbalance int, filler char(88));
create table pgbench_tellers (tid int primary key, bid int, tbalance int, filler char(84));
create table pgbench_accounts (aid int primary key, bid int, abalance int, filler char(84));
create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));

create schema "Reporting 2";
create table "Reporting 2"."Daily: 'Export'" ("Row No" int primary key, "Created On" date not null, payload text);

do $$
begin
    for n in -2 .. 1 loop
        execute format(
            'create table shop_metric_%s partition of shop_metric for values from (%L) to (%L)',
            to_char(date_trunc('month', now()) + make_interval(months => n), 'YYYY_MM'),
            date_trunc('month', now()) + make_interval(months => n),
            date_trunc('month', now()) + make_interval(months => n + 1)
        );
    end loop;
end $$;

insert into auth_user (password, last_login, username, date_joined)
select 'pbkdf2$' || n, now() - n * interval '1 hour', 'user' || n, now() - n * interval '1 day'
from generate_series(1, 300) as n;
insert into auth_group (name) values ('staff'), ('customers');
insert into auth_user_groups (user_id, group_id) select id, 1 + id % 2 from auth_user;
insert into django_session
select md5(n::text), repeat('s', 200), now() + (n - 1000) * interval '10 minutes' from generate_series(1, 3000) as n;
insert into django_migrations (app, name, applied)
select 'shop', 'step_' || n, now() - interval '1 year' from generate_series(1, 40) as n;
insert into django_admin_log (action_time, object_repr, user_id)
select now() - n * interval '3 hours', 'order ' || n, 1 + n % 300 from generate_series(1, 1000) as n;
insert into shop_order (user_id, created_at, updated_at, total)
select 1 + n % 300, now() - n * interval '2 hours', now() - n * interval '1 hour', n from generate_series(1, 4000) as n;
insert into shop_orderline (order_id, sku, amount)
select 1 + n % 4000, 'sku-' || n % 90, 1 from generate_series(1, 8000) as n;
insert into shop_event (created_at, kind, path)
select now() - n * interval '15 minutes', 'view', '/products/' || n from generate_series(1, 20000) as n;
insert into shop_audit (logged_at, change)
select now() - n * interval '20 minutes', jsonb_build_object('row', n, 'before', repeat('b', 90), 'after', repeat('a', 90))
from generate_series(1, 10000) as n;
insert into shop_metric
select now() - n * interval '1 hour', 'load', n from generate_series(1, 600) as n;
insert into pgbench_branches values (1, 0, '');
insert into pgbench_tellers select n, 1, 0, '' from generate_series(1, 10) as n;
insert into pgbench_accounts select n, 1, 0, '' from generate_series(1, 5000) as n;
insert into pgbench_history select 1, 1, n, 1, now() - n * interval '1 minute', '' from generate_series(1, 2000) as n;
insert into "Reporting 2"."Daily: 'Export'"
select n, current_date - n, repeat('x', 500) from generate_series(1, 400) as n;
update shop_order set total = total + 1;
analyze;
