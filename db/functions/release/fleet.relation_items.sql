create or replace function fleet.relation_items()
returns table (kind text, name text, item text)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- The file that a relation belongs to: a table's own policy, an invariant's file, or clients for what no client
    -- may use.
    with ours as (
        select c.oid, c.relkind, c.relacl, c.relowner, c.relrowsecurity, c.relforcerowsecurity, o.kind, o.name
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        cross join lateral (
            values
            ('policy', n.nspname || '.' || c.relname),
            ('view', n.nspname || '.' || c.relname),
            ('invariant', case n.nspname when 'invariants' then c.relname end),
            (
                'policy',
                case
                    when n.nspname = 'fleet' or (
                        c.relkind = 'S' and exists (
                            select 1
                            from pg_catalog.pg_depend as d
                            join fleet.schema_objects as t on t.kind = 'policy' and t.name = d.refobjid::regclass::text
                            where d.objid = c.oid and d.deptype = 'i' and d.classid = 'pg_catalog.pg_class'::regclass
                        )
                    ) then 'clients'
                end
            )
        ) as k (kind, name)
        join fleet.schema_objects as o on o.kind = k.kind and o.name = k.name
        where c.relkind in ('r', 'p', 'v', 'S') and n.nspname in ('public', 'fleet', 'invariants')
    )
    select r.kind, r.name, format('view %s = %s', r.oid::regclass, md5(pg_get_viewdef(r.oid)))
    from ours as r
    where r.relkind = 'v'
    union all
    select r.kind, r.name, format('owner of %s: %I', r.oid::regclass, pg_get_userbyid(r.relowner))
    from ours as r
    join pg_catalog.pg_namespace as n on n.nspname = 'fleet' and n.nspowner <> r.relowner
    where r.relkind = 'v'
    union all
    select
        r.kind, r.name,
        format('row level security on %s%s', r.oid::regclass, case when r.relforcerowsecurity then ', forced' end)
    from ours as r
    where r.relrowsecurity
    union all
    select
        r.kind, r.name,
        format('grant %s on %s to %s', lower(a.privilege_type), r.oid::regclass, w.name)
    from ours as r
    cross join lateral aclexplode(
        coalesce(r.relacl, acldefault((case r.relkind when 'S' then 's' else 'r' end)::"char", r.relowner))
    ) as a
    join fleet.watched_roles() as w on w.role = a.grantee
    -- What our processes may read in fleet is listed in their own files.
    where r.name <> 'clients' or w.name not like 'coinfleet\_%'
    union all
    select
        r.kind, r.name,
        format('grant %s (%I) on %s to %s', lower(x.privilege_type), a.attname, r.oid::regclass, w.name)
    from ours as r
    join pg_catalog.pg_attribute as a on a.attrelid = r.oid and a.attacl is not null and not a.attisdropped
    cross join lateral aclexplode(a.attacl) as x
    join fleet.watched_roles() as w on w.role = x.grantee
    where w.name not like 'coinfleet\_%'
    union all
    select
        r.kind, r.name,
        format(
            'policy %I on %s = %s', p.polname, r.oid::regclass,
            md5(
                concat_ws(
                    ' ', p.polcmd, p.polpermissive,
                    (select string_agg(k::regrole::text, ',' order by k::regrole::text) from unnest(p.polroles) as k),
                    pg_get_expr(p.polqual, p.polrelid), '|', pg_get_expr(p.polwithcheck, p.polrelid)
                )
            )
        )
    from ours as r
    join pg_catalog.pg_policy as p on p.polrelid = r.oid
    -- What one of our processes may read is listed in its own file, see fleet.role_items.
    where not exists (select 1 from unnest(p.polroles) as k where k::regrole::text like 'coinfleet\_%')
$$;

revoke all on function fleet.relation_items() from public, anon, authenticated, service_role;
comment on function fleet.relation_items() is
    'What the catalog holds of each table''s policy file and each invariant: rights, row level security, policies, the '
    'view''s text. See fleet.catalog_items.';
