create or replace function fleet.structure_items()
returns table (kind text, name text, item text)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- The file that a table belongs to: its own policy, or clients for what no client may use.
    with ours as (
        select c.oid, c.relowner, n.nspname, o.kind, o.name
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        join fleet.schema_objects as o
            on o.kind = 'policy'
            and o.name = case n.nspname when 'fleet' then 'clients' else n.nspname || '.' || c.relname end
        where c.relkind in ('r', 'p') and n.nspname in ('public', 'fleet')
    )
    select
        r.kind, r.name,
        format(
            'column %I of %s: %s%s%s', a.attname, r.oid::regclass, format_type(a.atttypid, a.atttypmod),
            case when a.attnotnull then ' not null' end,
            case when a.attidentity <> '' then ' identity' when a.atthasdef then ' default' end
        )
    from ours as r
    join pg_catalog.pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    union all
    -- PostgreSQL 18 has a constraint for each `not null`, which is listed with the column here.
    select r.kind, r.name, format('constraint %I on %s', c.conname, r.oid::regclass)
    from ours as r
    join pg_catalog.pg_constraint as c on c.conrelid = r.oid and c.contype in ('p', 'u', 'f', 'c', 'x')
    union all
    select r.kind, r.name, format('index %s on %s', i.indexrelid::regclass, r.oid::regclass)
    from ours as r
    join pg_catalog.pg_index as i on i.indrelid = r.oid and i.indisvalid and i.indisready
    union all
    select r.kind, r.name, format('owner of %s: %I', r.oid::regclass, pg_get_userbyid(r.relowner))
    from ours as r
    join pg_catalog.pg_namespace as n on n.nspname = 'fleet' and n.nspowner <> r.relowner
$$;

revoke all on function fleet.structure_items() from public, anon, authenticated, service_role;
comment on function fleet.structure_items() is
    'What migrations made of each table: columns, constraints, valid indexes, and its owner if it is not the '
    'schema''s; in words that are the same on each version of the server. See fleet.catalog_items.';
