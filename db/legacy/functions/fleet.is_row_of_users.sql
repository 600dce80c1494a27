create or replace function fleet.is_row_of_users(p_source_table text, p_row jsonb, p_old_ids text[])
returns boolean
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select exists (
        select 1
        from jsonb_each_text(p_row) as f
        -- Ids are whole numbers in the first generation and uuids in the second.
        where f.value = any(p_old_ids) and fleet.is_owner_field(p_source_table, f.key, char_length(f.value) = 36)
    )
$$;

revoke all on function fleet.is_row_of_users(text, jsonb, text[]) from public, anon, authenticated, service_role;
comment on function fleet.is_row_of_users(text, jsonb, text[]) is
    'Whether a row that an upgrade set aside belongs to one of these old users.';
