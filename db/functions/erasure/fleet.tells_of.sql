create or replace function fleet.tells_of(p_source_table text, p_row jsonb, p_old_ids text[])
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
        where f.value = any(p_old_ids) and fleet.names_author(p_source_table, f.key, char_length(f.value) = 36)
    )
$$;

revoke all on function fleet.tells_of(text, jsonb, text[]) from public, anon, authenticated, service_role;
comment on function fleet.tells_of(text, jsonb, text[]) is
    'Whether a row that an upgrade set aside is one of these old users'' own.';
