"""A PostgreSQL database with much that is odd in it, for its backups."""

from __future__ import annotations

from typing import Any, cast

import psycopg

ODD = [
    "create extension hstore",
    "create extension file_fdw",
    'create schema "we.ird ""sch"',
    "create type mood as enum ('sad', 'o''k', 'happy')",
    "create domain price as numeric(8, 2) check (value >= 0)",
    """create table "we.ird ""sch"."ta ble
; -- %s {x}" ("sel ect" int primary key, "Ünï" text, "a%b" text collate "C" default 'x')""",
    """insert into "we.ird ""sch"."ta ble
; -- %s {x}" select i, case when i % 3 > 0 then E'new\\nline\\t\\\\.' end, '' from generate_series(1, 300) i""",
    "create table empty (a int)",
    "create table bare ()",
    "insert into bare default values",
    "insert into bare default values",
    """create table odd (id bigint generated always as identity primary key, f float8, r real, b bytea, j jsonb,
       i interval, tz timestamptz, ts tsrange, m mood, p price, h hstore, arr text[], c char(5), bits bit(3),
       total numeric generated always as (f * 2) stored, status varchar(9) check (status in ('a', 'b')))""",
    """insert into odd (f, r, b, j, i, tz, ts, m, p, h, arr, c, bits, status)
       select case when n % 7 = 0 then 'NaN' else n / 3.0 end, n / 7.0, decode(md5(n::text), 'hex'), '{"a": null}',
       make_interval(days => n), timestamptz '2024-03-31 02:30+01' + n * interval '1 s',
       tsrange(null, now()::timestamp),
       'o''k', n, 'a=>NULL', array['x', null, '{"'], 'ab', b'101', 'a' from generate_series(1, 500) n""",
    "create index odd_status on odd (status) where status in ('a', 'b')",
    "create index odd_lower on odd (lower(c), f)",
    "create unique index odd_f on odd (f, id) include (r)",
    "create table parent (id int, at date, note text, primary key (id, at)) partition by range (at)",
    "create table parent_1 partition of parent for values from ('2024-01-01') to ('2024-02-01')",
    "create table parent_2 (note text, at date not null, id int not null)",
    "alter table parent attach partition parent_2 for values from ('2024-02-01') to ('2024-03-01')",
    "create index parent_note on parent (note)",
    "insert into parent select i, date '2024-01-01' + i % 60, 'n' || i from generate_series(1, 600) i",
    "create table child (parent_id int, parent_at date, foreign key (parent_id, parent_at) references parent)",
    "insert into child select id, at from parent limit 50",
    "create table base (a int, b text)",
    "create table derived (b text, a int, extra int)",
    "alter table derived inherit base",
    "insert into derived values ('x', 1, 2)",
    "insert into base values (5, 'y')",
    "create view seen as select id, status from odd where status in ('a', 'b')",
    "create materialized view counted as select count(*) as n from odd",
    "create unique index counted_n on counted (n)",
    "create function boom() returns event_trigger language plpgsql as $$ begin raise 'secret row 4711'; end $$",
    "create event trigger bang on sql_drop execute function boom()",
    "create function touch() returns trigger language plpgsql as $$ begin return new; end $$",
    "create trigger touched before update on odd for each row when (new.f > 1) execute function touch()",
    "alter table odd enable row level security",
    "create policy mine on odd for select using (status = 'a')",
    "create statistics odd_stats on f, r from odd",
    "create server outside foreign data wrapper file_fdw",
    "create foreign table passwd (line text) server outside options (filename '/etc/passwd')",
    "create view through as select line from passwd",
    "create publication news for table odd",
    "create unlogged table fleeting as select 1 as a",
    "create sequence counter increment 3 maxvalue 99 cycle",
    "select nextval('counter'), nextval('counter')",
    """create sequence "we.ird ""sch"."Se'q ; %s" increment -1 start -7""",
    "select lo_from_bytea(0, 'large'), lo_from_bytea(0, 'larger')",
    "comment on event trigger bang is 'x'",
]


def make(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as db:
        for statement in ODD:
            db.execute(cast("Any", statement))
