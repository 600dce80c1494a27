create or replace function fleet.structure_items()
returns table (kind text, name text, item text)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- The file that a table belongs to: its own policy, or clients for what no client may use.
    with ours as (
        select c.oid, c.relowner, c.relpersistence, n.nspname, o.kind, o.name
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
            case
                when a.attidentity <> '' then ' identity = ' || a.attidentity::text
                when a.atthasdef then ' default = ' || md5(pg_get_expr(d.adbin, d.adrelid))
            end
        )
    from ours as r
    join pg_catalog.pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    union all
    -- PostgreSQL 18 has a constraint for each `not null`, which is listed with the column here.
    select
        r.kind, r.name,
        format(
            'constraint %I on %s: %s%s = %s', c.conname, r.oid::regclass,
            case c.contype
                when 'p' then 'primary key' when 'u' then 'unique' when 'f' then 'foreign key' when 'c' then 'check'
                else 'exclude'
            end,
            case when c.convalidated then ', valid' end,
            md5(replace(pg_get_constraintdef(c.oid), ' NOT VALID', ''))
        )
    from ours as r
    join pg_catalog.pg_constraint as c on c.conrelid = r.oid and c.contype in ('p', 'u', 'f', 'c', 'x')
    union all
    select
        r.kind, r.name,
        format(
            'index %s on %s: %s(%s)%s = %s', i.indexrelid::regclass, r.oid::regclass,
            case when i.indisunique then 'unique ' end,
            (
                select string_agg(case k.attnum when 0 then 'expression' else a.attname end, ', ' order by k.no)
                from unnest(i.indkey::smallint[]) with ordinality as k (attnum, no)
                left join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
            ),
            case when i.indpred is not null then ' where' end,
            md5(
                concat_ws(
                    '|', i.indoption, i.indnullsnotdistinct, pg_get_expr(i.indexprs, i.indrelid),
                    pg_get_expr(i.indpred, i.indrelid)
                )
            )
        )
    from ours as r
    join pg_catalog.pg_index as i on i.indrelid = r.oid and i.indisvalid and i.indisready
    -- What no release makes, whoever did it; see fleet.catalog_differences.
    union all
    select r.kind, r.name, format('owner of %s: %I', r.oid::regclass, pg_get_userbyid(r.relowner))
    from ours as r
    join pg_catalog.pg_namespace as n on n.nspname = 'fleet' and n.nspowner <> r.relowner
    union all
    select r.kind, r.name, format('unlogged table %s', r.oid::regclass)
    from ours as r
    where r.relpersistence = 'u'
    union all
    select r.kind, r.name, format('rule %I on %s', w.rulename, r.oid::regclass)
    from ours as r
    join pg_catalog.pg_rewrite as w on w.ev_class = r.oid
    union all
    select distinct r.kind, r.name, format('disabled foreign keys of %s', r.oid::regclass)
    from ours as r
    join pg_catalog.pg_trigger as t on t.tgrelid = r.oid and t.tgisinternal and t.tgenabled = 'D'
$$;

revoke all on function fleet.structure_items() from public, anon, authenticated, service_role;
comment on function fleet.structure_items() is
    'What migrations made of each table: columns, constraints, valid indexes; and what no release makes: another owner '
    'than the schema''s, an unlogged table, a rule, foreign keys that are not checked. What stands before a hash is '
    'the same on each version of the server. See fleet.catalog_items.';
