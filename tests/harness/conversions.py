"""What the tests of conversions share: a table that carries everything, what the catalog says of it, and a run."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.harness import least
from tests.harness.postgres import creation
from upkeep import fleet
from upkeep.model import Action, Outcome, Plan
from upkeep.postgres.session import PostgresSession

Db = psycopg.Connection[Any]

FILTERS = 150_000
"""Since then publications have column lists and filters."""
POLICY = "partition: {by: at, every: 1 month, ahead: 3}"

CATALOG = {
    "columns": """
        select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
            a.attstattarget, a.attstorage, a.attcompression, pg_get_expr(d.adbin, d.adrelid),
            col_description(a.attrelid, a.attnum), a.attacl::text,
            array(select o from unnest(a.attoptions) o where o like 'n_distinct%%')
        from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = %(t)s::regclass and a.attnum > 0 and not a.attisdropped order by a.attname""",
    "indexes": """
        select c.relname, replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON '), obj_description(c.oid, 'pg_class'),
            i.indisreplident, i.indisunique, i.indisvalid
        from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = %(t)s::regclass order by 1""",
    "constraints": """
        select conname, contype, pg_get_constraintdef(oid), convalidated, condeferrable, condeferred,
            obj_description(oid, 'pg_constraint')
        from pg_constraint where conrelid = %(t)s::regclass and contype in ('p', 'u', 'c', 'f') order by 1""",
    "triggers": """
        select tgname, pg_get_triggerdef(oid), tgenabled, obj_description(oid, 'pg_trigger')
        from pg_trigger where tgrelid = %(t)s::regclass and not tgisinternal order by 1""",
    "policies": """
        select polname, polcmd, polpermissive, polroles::text, pg_get_expr(polqual, polrelid),
            pg_get_expr(polwithcheck, polrelid), obj_description(oid, 'pg_policy')
        from pg_policy where polrelid = %(t)s::regclass order by 1""",
    "publications": """
        select p.pubname, pg_get_expr(r.prqual, r.prrelid), (
            select array_agg(a.attname::text order by a.attname) from pg_attribute a
            where a.attrelid = r.prrelid and a.attnum = any(r.prattrs))
        from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
        where r.prrelid = %(t)s::regclass order by 1""",
    "statistics": """
        select stxname, pg_get_statisticsobjdef(oid), stxstattarget, pg_get_userbyid(stxowner),
            obj_description(oid, 'pg_statistic_ext')
        from pg_statistic_ext where stxrelid = %(t)s::regclass order by 1""",
    "table": """
        select pg_get_userbyid(relowner), relrowsecurity, relforcerowsecurity, relreplident, relnamespace::regnamespace,
            obj_description(oid, 'pg_class'), array(
                select format('%%s %%s %%s', coalesce(nullif(grantee, 0)::regrole::text, 'public'), privilege_type,
                    is_grantable)
                from aclexplode(coalesce(relacl, acldefault('r', relowner))) order by 1)
        from pg_class where oid = %(t)s::regclass""",
    "sequences": """
        select c.relname, a.attname, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle, d.deptype,
            coalesce(c.relacl, acldefault('s', c.relowner))::text, obj_description(c.oid, 'pg_class'),
            pg_get_userbyid(c.relowner),
            pg_sequence_last_value(c.oid)
        from pg_depend d join pg_class c on c.oid = d.objid and c.relkind = 'S'
        join pg_sequence s on s.seqrelid = c.oid
        join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.refobjid = %(t)s::regclass and d.deptype in ('a', 'i') order by 1""",
    "rows": "select count(*), count(distinct id), min(id), max(id) from {t}",
}


def catalog(db: Db, table: str) -> dict[str, list[Any]]:
    """Return what the catalog says of a table, by its name as in SQL."""
    db.execute("set search_path = pg_catalog")
    queries = CATALOG
    if db.info.server_version < FILTERS:
        old = "select p.pubname from pg_publication_rel r join pg_publication p on p.oid = r.prpubid "
        queries = queries | {"publications": f"{old} where r.prrelid = %(t)s::regclass order by 1"}
    return {
        name: db.execute(query.replace("{t}", table), None if "{t}" in query else {"t": table}).fetchall()
        for name, query in queries.items()
    }


def differences(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> dict[str, Any]:
    """Return what differs between two looks at the catalog."""
    return {key: (one[key], other[key]) for key in one if one[key] != other[key]}


def convert(
    session: PostgresSession, what: fleet.Target, at: Any = None, kind: str = "convert_table"
) -> tuple[Plan, Action, Outcome]:
    """Plan, and carry out the one conversion there is."""
    runs = creation(what)
    observation = runs.observe(session, at)
    planned = runs.job.plan(observation, what)
    (action,) = [a for a in planned.actions if a.kind == kind]
    return planned, action, runs.apply(session, action, observation)


def left_behind(db: Db) -> int:
    """Return how many things of ours are left over."""
    row = db.execute(
        "select (select count(*) from pg_catalog.pg_class where relname like 'upkeep%') "
        "+ (select count(*) from pg_catalog.pg_constraint where conname like 'upkeep%') "
        "+ (select count(*) from pg_catalog.pg_description where description like 'upkeep%') "
        "+ (select count(*) from pg_catalog.pg_inherits where inhdetachpending)"
    ).fetchone()
    assert row is not None
    return int(row[0])


def make_everything(db: Db, table: str, schema: str) -> None:
    """Make a table that carries all that a conversion carries over; roles are made once for the server."""
    for role in ("conv_owner", "conv_reader", "conv_writer"):
        db.execute(f"do $$ begin create role {role}; exception when duplicate_object then null; end $$")
    db.execute(f"grant conv_owner to {least.ROLE}")
    db.execute(f"create schema if not exists {schema}")
    db.execute(f"grant usage, create on schema {schema} to conv_owner")
    db.execute("create table public.places (id int primary key, name text)")
    db.execute("grant references on public.places to conv_owner")
    db.execute("insert into public.places select g, 'p' from generate_series(1, 5) g")
    db.execute("create table public.fired (name text, op text, level text)")
    db.execute(
        "create function public.fire() returns trigger language plpgsql security definer as $$ begin "
        "insert into public.fired values (tg_name, tg_op, tg_level); return coalesce(new, old); end $$"
    )
    db.execute(f"""
        create table {table} (
            gone int, id bigint generated always as identity (start with 10 increment by 3 cache 5), n serial,
            at timestamptz not null default now(), place int not null default 1, "Te xt" text compression pglz,
            twice int generated always as (place * 2) stored, small int default 7,
            constraint "the key" primary key (id, at) include (place) with (fillfactor = 80),
            constraint "once only" unique (n, at) deferrable initially deferred,
            constraint "sane ""check" check (place > 0),
            constraint to_place foreign key (place) references public.places (id) on delete cascade
        ) with (autovacuum_enabled = false, fillfactor = 90)""")
    db.execute(f"alter table {table} drop column gone")
    db.execute(f'create index "by text" on {table} (lower("Te xt") collate "C" desc) where place > 1')
    db.execute(f"create index by_brin on {table} using brin (at) with (pages_per_range = 8)")
    db.execute(f'create statistics {schema}."st at" (ndistinct, dependencies) on place, small from {table}')
    db.execute(f'alter statistics {schema}."st at" set statistics 77')
    db.execute(f'alter table {table} alter column "Te xt" set storage external, alter place set statistics 321')
    db.execute(f"alter table {table} alter small set (n_distinct = -0.5)")
    db.execute(
        f'create trigger "a row" after insert or update or delete on {table} for each row execute function '
        "public.fire('x''y')"
    )
    db.execute(
        f"create trigger stat after insert on {table} referencing new table as fresh for each statement "
        "execute function public.fire()"
    )
    db.execute(
        f"create trigger before_it before insert on {table} for each row when (new.place < 100) "
        "execute function public.fire()"
    )
    db.execute(f"create trigger off before insert on {table} for each row execute function public.fire()")
    db.execute(f"alter table {table} disable trigger off")
    db.execute(f"alter table {table} enable always trigger stat")
    db.execute(
        f"create constraint trigger later after insert on {table} deferrable initially deferred for each row "
        "execute function public.fire()"
    )
    db.execute(f"alter table {table} enable row level security")
    db.execute(
        f'create policy "see it" on {table} as restrictive for select to conv_reader, conv_writer '
        f"using (place in (select p.place from {table} p))"
    )
    db.execute(f"create policy all_of_it on {table} using (true) with check (place < 50)")
    part = "(id, at, n, place) where (id > 1)" if db.info.server_version >= FILTERS else ""
    db.execute(f"create publication conv_pub for table {table} {part} with (publish_via_partition_root = true)")
    db.execute(f'alter table {table} replica identity using index "the key"')
    db.execute(f"grant select, insert on {table} to conv_writer with grant option")
    db.execute(f'grant update (place, "Te xt") on {table} to conv_reader')
    db.execute(f"grant select on {table} to public")
    sequences = [
        r[0]
        for r in db.execute(
            "select d.objid::regclass::text from pg_catalog.pg_depend d join pg_catalog.pg_class c on c.oid = d.objid "
            "where c.relkind = 'S' and d.refobjid = %s::regclass",
            [table],
        ).fetchall()
    ]
    for name in sequences:
        db.execute(f"grant usage on sequence {name} to conv_writer")
        db.execute(f"comment on sequence {name} is 'counts'")
    for thing, text in (
        (f"table {table}", "the 'table'"),
        (f"column {table}.place", "where"),
        (f'index {schema}."by text"', "texts"),
        (f'index {schema}."the key"', "key index"),
        (f'constraint "the key" on {table}', "key"),
        (f'constraint "sane ""check" on {table}', "sane"),
        (f"constraint to_place on {table}", "points"),
        (f'trigger "a row" on {table}', "fires"),
        (f'policy "see it" on {table}', "sees"),
        (f'statistics {schema}."st at"', "stats"),
    ):
        db.execute(f"comment on {thing} is {psycopg.sql.quote(text)}")
    db.execute(f"alter table {table} owner to conv_owner")
    db.execute(f"revoke truncate on {table} from conv_owner")
    db.execute("alter default privileges grant delete on tables to conv_reader")
    db.execute("alter default privileges for role conv_owner grant select on sequences to conv_reader")
    db.execute(
        f'insert into {table} (at, place, "Te xt") '
        "select now() - g * interval '1 day', 1 + g % 5, 'x' || g from generate_series(0, 99) g"
    )
    db.execute("delete from public.fired")
