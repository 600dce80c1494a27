-- The release's own records, made before its first step and never again.

create schema if not exists fleet;
comment on schema fleet is
    'What the fleet keeps for itself: inbox, payment keys, ticks, the release''s records. No API role may look inside.';

create table if not exists fleet.schema_migrations (
    version bigint primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table fleet.schema_migrations is
    'Each migration that was applied, with the checksum of the text it had; a row never changes.';

create table if not exists fleet.schema_objects (
    kind text not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp(),
    primary key (kind, name)
);
comment on table fleet.schema_objects is
    'Each repeatable file (shim, function, view, invariant, policy) with the checksum last applied.';
