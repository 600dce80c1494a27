create or replace function fleet.erase_old_table(p_table regclass, p_old_ids text[])
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_name text;
    v_is_theirs text;
    v_personal text[];
    v_values text;
    v_differs text;
    v_drop_not_null text;
    v_erased bigint;
begin
    select
        c.relname,
        string_agg(format('t.%I::text = any($1)', a.attname), ' or ')
            filter (where fleet.is_owner_field(c.relname, a.attname, a.atttypid = 'uuid'::regtype))
    into v_name, v_is_theirs
    from pg_catalog.pg_class as c
    join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.oid = p_table
    group by c.relname;
    if v_is_theirs is null then
        return 0;
    end if;
    execute format(
        'select array_agg(distinct f.field)'
        ' from %s as t, jsonb_object_keys(fleet.personal_fields(%L, to_jsonb(t))) as f (field)'
        ' where %s',
        p_table, v_name, v_is_theirs
    ) into v_personal using p_old_ids;

    -- A column of the primary key gets a random value; a generated column follows the columns it is made of.
    select
        string_agg(
            format(
                '%I = %s',
                a.attname,
                case when a.is_key then format('gen_random_uuid()::text::%s', a.type) else 'null' end
            ),
            ', '
        ) filter (where a.attgenerated = ''),
        string_agg(format('t.%I is not null', a.attname), ' or ') filter (where a.attgenerated = ''),
        string_agg(format(', alter column %I drop not null', a.attname), '')
            filter (where a.attnotnull and not a.is_key)
    into v_values, v_differs, v_drop_not_null
    from (
        select
            c.*,
            format_type(c.atttypid, c.atttypmod) as type,
            exists (
                select 1 from pg_catalog.pg_index as i
                where i.indrelid = p_table and i.indisprimary and c.attnum = any(i.indkey)
            ) as is_key
        from pg_catalog.pg_attribute as c
        where c.attrelid = p_table and c.attname = any(v_personal)
    ) as a;
    if v_values is null then
        return 0;
    end if;
    execute format('alter table %s disable trigger moved_aside%s', p_table, v_drop_not_null);
    execute format('update %s as t set %s where (%s) and (%s)', p_table, v_values, v_is_theirs, v_differs)
    using p_old_ids;
    get diagnostics v_erased = row_count;
    execute format('alter table %s enable always trigger moved_aside', p_table);
    return v_erased;
end
$$;

revoke all on function fleet.erase_old_table(regclass, text[]) from public, anon, authenticated, service_role;
comment on function fleet.erase_old_table(regclass, text[]) is
    'Clears the personal fields of these users in their rows of a table that an upgrade moved aside, and returns how '
    'many rows that were. A column that must not be null loses that rule. Rows and numbers stay.';
