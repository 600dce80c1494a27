create or replace function fleet.role_items()
returns table (kind text, name text, item text)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- The two files that a role belongs to: the one that makes it, and the one that lists its rights.
    with ours as (
        select
            r.oid, r.rolname::text as role,
            r.rolcanlogin, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls, r.rolreplication,
            case when r.rolname like 'coinfleet\_%' then 'login' else 'shim' end as made_by_kind,
            case when r.rolname like 'coinfleet\_%' then r.rolname else '10_roles' end as made_by,
            case when r.rolname like 'coinfleet\_%' then substr(r.rolname, char_length('coinfleet_') + 1) else 'clients'
            end
                as allowed_by
        from pg_catalog.pg_roles as r
        join fleet.watched_roles() as w on w.role = r.oid
    ),
    rights (name, item) as (
        select r.allowed_by, format('grant %s on schema %I to %s', lower(a.privilege_type), n.nspname, r.role)
        from ours as r
        cross join pg_catalog.pg_namespace as n
        cross join lateral aclexplode(n.nspacl) as a
        where a.grantee = r.oid and n.nspname in ('public', 'fleet', 'invariants')
        union all
        -- Where the shim made the schema; without this right a policy that asks who calls is an error.
        select '20_auth', format('grant %s on schema %I to %s', lower(a.privilege_type), n.nspname, r.role)
        from ours as r
        cross join pg_catalog.pg_namespace as n
        cross join lateral aclexplode(n.nspacl) as a
        where a.grantee = r.oid and n.nspname = 'auth' and r.made_by_kind = 'shim'
        union all
        select 'clients', format('grant %s on schema %I to public', lower(a.privilege_type), n.nspname)
        from pg_catalog.pg_namespace as n
        cross join lateral aclexplode(n.nspacl) as a
        where a.grantee = 0 and n.nspname in ('public', 'fleet', 'invariants')
        union all
        select r.allowed_by, format('grant %s on %s to %s', lower(a.privilege_type), c.oid::regclass, r.role)
        from ours as r
        join pg_catalog.pg_class as c on c.relnamespace::regnamespace::text = 'fleet'
        cross join lateral aclexplode(c.relacl) as a
        where a.grantee = r.oid and r.allowed_by <> 'clients'
        union all
        select
            r.allowed_by,
            format('grant %s (%I) on %s to %s', lower(x.privilege_type), a.attname, c.oid::regclass, r.role)
        from ours as r
        join pg_catalog.pg_class as c on c.relnamespace::regnamespace::text in ('public', 'fleet')
        join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attacl is not null and not a.attisdropped
        cross join lateral aclexplode(a.attacl) as x
        where x.grantee = r.oid and r.allowed_by <> 'clients'
        union all
        select
            r.allowed_by,
            format(
                'policy %I on %s = %s', p.polname, p.polrelid::regclass,
                md5(
                    concat_ws(
                        ' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid), '|',
                        pg_get_expr(p.polwithcheck, p.polrelid)
                    )
                )
            )
        from ours as r
        join pg_catalog.pg_policy as p on r.oid = any(p.polroles)
        where r.allowed_by <> 'clients'
        union all
        select
            case when r.allowed_by = 'clients' then '30_default_privileges' else r.allowed_by end,
            format(
                'grant %s on later %s of schema %s to %s', lower(a.privilege_type),
                case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' end,
                d.defaclnamespace::regnamespace, r.role
            )
        from ours as r
        join pg_catalog.pg_default_acl as d
            on d.defaclrole = (select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'fleet')
        cross join lateral aclexplode(d.defaclacl) as a
        where a.grantee = r.oid and d.defaclnamespace::regnamespace::text in ('public', 'fleet', 'invariants')
    )
    select r.made_by_kind, r.made_by, format('role %s%s', r.role, a.attribute)
    from ours as r
    cross join lateral (
        values
        (true, null), (r.rolcanlogin, ': login'), (r.rolbypassrls, ': bypassrls'), (r.rolsuper, ': superuser'),
        (r.rolcreaterole, ': createrole'), (r.rolcreatedb, ': createdb'), (r.rolreplication, ': replication')
    ) as a (holds, attribute)
    where a.holds
    union all
    select r.made_by_kind, r.made_by, format('role %s: member of %s', r.role, m.roleid::regrole)
    from ours as r
    join pg_catalog.pg_auth_members as m on m.member = r.oid
    union all
    select case when t.name in ('20_auth', '30_default_privileges') then 'shim' else 'policy' end, t.name, t.item
    from rights as t
    union all
    select 'policy', 'sessions', format('setting of role %s: %s', r.role, c.setting)
    from ours as r
    join pg_catalog.pg_db_role_setting as s on s.setrole = r.oid
    join pg_catalog.pg_database as d on d.oid = s.setdatabase and d.datname = current_database()
    cross join lateral unnest(s.setconfig) as c (setting)
    -- What policies/sessions.sql sets. Other settings are an operator's choice; so is synchronous_commit, unless it
    -- is off.
    where r.made_by_kind = 'login' and (
        lower(split_part(c.setting, '=', 1)) in (
            'timezone', 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
            'client_connection_check_interval', 'jit'
        )
        or c.setting = 'synchronous_commit=off'
    )
$$;

revoke all on function fleet.role_items() from public, anon, authenticated, service_role;
comment on function fleet.role_items() is
    'What the catalog holds of each role that a file makes: that it exists, its attributes, its rights to schemas and '
    'to tables of the fleet and to columns, its policies, its settings in this database. See fleet.catalog_items.';
