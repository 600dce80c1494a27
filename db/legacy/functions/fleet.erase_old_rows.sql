create or replace function fleet.erase_old_rows(p_old_ids text[])
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_old record;
    v_found bigint;
    v_erased bigint := 0;
begin
    if cardinality(p_old_ids) = 0 then
        return 0;
    end if;
    for v_old in
        select c.oid::regclass as name
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        join pg_catalog.pg_trigger as t on t.tgrelid = c.oid
        where n.nspname in ('legacy_first', 'legacy_second') and t.tgname = 'moved_aside' and t.tgparentid = 0
        order by 1
    loop
        v_erased := v_erased + fleet.erase_old_table(v_old.name, p_old_ids);
    end loop;
    -- Materialized views hold copies of the rows above.
    for v_old in
        select c.oid::regclass as name
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where c.relkind = 'm' and c.relispopulated and n.nspname in ('legacy_first', 'legacy_second') and v_erased > 0
        order by 1
    loop
        execute format('refresh materialized view %s', v_old.name);
    end loop;

    update fleet.quarantine as q
    set source_row = q.source_row || fleet.personal_fields(q.source_table, q.source_row)
    where fleet.is_row_of_users(q.source_table, q.source_row, p_old_ids)
        and fleet.personal_fields(q.source_table, q.source_row) <> '{}';
    get diagnostics v_found = row_count;
    v_erased := v_erased + v_found;
    update fleet.archived_rows as r
    set source_row = r.source_row || fleet.personal_fields(r.source_table, r.source_row)
    where fleet.is_row_of_users(r.source_table, r.source_row, p_old_ids)
        and fleet.personal_fields(r.source_table, r.source_row) <> '{}';
    get diagnostics v_found = row_count;
    v_erased := v_erased + v_found;
    update fleet.upgrade_notes as n
    set old_value = null
    where n.source_table in ('users', 'profiles') and n.source_key = any(p_old_ids)
        and n.note <> 'cached_balance_drifted' and n.old_value is not null;
    get diagnostics v_found = row_count;
    return v_erased + v_found;
end
$$;

revoke all on function fleet.erase_old_rows(text[]) from public, anon, authenticated, service_role;
comment on function fleet.erase_old_rows(text[]) is
    'Clears the personal fields of these old users in everything that an upgrade left behind: the old tables, '
    'quarantine, archive and notes. Rows, ids and amounts stay, so the proof of the upgrade still holds. Returns how '
    'many rows were cleared.';
