-- Pauses: of a target, or of the whole fleet (target is null). Rows stay when resumed, as history; at most
-- one pause of each is in force.
create table upkeep.pause (
    id bigint not null default nextval('upkeep.entry_id') primary key,
    target text,
    actor text not null,
    reason text not null,
    paused_at timestamptz not null,
    resumed_at timestamptz,
    resumed_by text,
    resume_reason text
);
comment on table upkeep.pause is 'Pauses; target null: the whole fleet';
create unique index pause_in_force_idx on upkeep.pause ((coalesce(target, '')), (target is null))
where resumed_at is null;
