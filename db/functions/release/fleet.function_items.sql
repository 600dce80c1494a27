create or replace function fleet.function_items()
returns table (kind text, name text, item text)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    with ours as (
        select o.kind, o.name, p.oid, p.proacl, p.proowner
        from pg_catalog.pg_proc as p
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        -- By its key: a condition with `or` would compare each function with each file.
        cross join lateral (
            values
            ('function', n.nspname || '.' || p.proname),
            ('legacy', n.nspname || '.' || p.proname),
            ('shim', case when n.nspname = 'auth' and p.proname in ('uid', 'role', 'jwt') then '20_auth' end)
        ) as k (kind, name)
        join fleet.schema_objects as o
            on o.kind = k.kind and o.name = k.name and (o.kind = 'shim' or o.checksum <> 'removed')
        where p.prokind in ('f', 'w') and n.nspname in ('public', 'fleet', 'auth')
    )
    select
        f.kind, f.name,
        format('function %s = %s', f.oid::regprocedure, md5(pg_get_functiondef(f.oid)))
    from ours as f
    union all
    select f.kind, f.name, format('grant %s on function %s to %s', lower(a.privilege_type), f.oid::regprocedure, w.name)
    from ours as f
    cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as a
    join fleet.watched_roles() as w on w.role = a.grantee
    union all
    select
        f.kind, f.name,
        format(
            'trigger %I on %s = %s',
            t.tgname, t.tgrelid::regclass, md5(pg_get_triggerdef(t.oid) || t.tgenabled::text)
        )
    from ours as f
    join pg_catalog.pg_trigger as t on t.tgfoid = f.oid and not t.tgisinternal
    join pg_catalog.pg_class as c on c.oid = t.tgrelid
    where c.relnamespace::regnamespace::text in ('public', 'fleet', 'auth')
    union all
    select f.kind, f.name, format('owner of function %s: %I', f.oid::regprocedure, pg_get_userbyid(f.proowner))
    from ours as f
    join pg_catalog.pg_namespace as n on n.nspname = 'fleet' and n.nspowner <> f.proowner
    where f.kind <> 'shim'
$$;

revoke all on function fleet.function_items() from public, anon, authenticated, service_role;
comment on function fleet.function_items() is
    'What the catalog holds of each function''s file: its text, who may execute it, its triggers, and its owner if it '
    'is not the schema''s. See fleet.catalog_items.';
