create or replace function fleet.erase_sign_in(p_profile_id uuid)
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_columns text[];
    v_differences text[];
    v_table text;
    v_found bigint;
    v_erased bigint := 0;
begin
    -- The statements are built here because the columns and tables differ between releases of Supabase's auth
    -- service, and the shim has few of them. The service can't read a token that is null, so tokens become empty
    -- strings.
    select
        array_agg(format('%I = %s', c.name, c.value)),
        array_agg(format('%I is distinct from %s', c.name, c.value))
    into v_columns, v_differences
    from (values
        ('email', 'null'), ('phone', 'null'), ('raw_user_meta_data', 'null'), ('last_sign_in_at', 'null'),
        ('email_confirmed_at', 'null'), ('phone_confirmed_at', 'null'), ('raw_app_meta_data', '''{}'''),
        ('encrypted_password', ''''''), ('confirmation_token', ''''''), ('recovery_token', ''''''),
        ('email_change', ''''''), ('email_change_token_new', ''''''), ('email_change_token_current', ''''''),
        ('phone_change', ''''''), ('phone_change_token', ''''''), ('reauthentication_token', '''''')
    ) as c (name, value)
    join pg_catalog.pg_attribute as a
        on a.attrelid = 'auth.users'::regclass and a.attname = c.name and not a.attisdropped and a.attgenerated = '';
    execute format(
        'update auth.users set %s where id = $1 and (%s)',
        array_to_string(v_columns, ', '), array_to_string(v_differences, ' or ')
    ) using p_profile_id;
    get diagnostics v_erased = row_count;

    foreach v_table in array array['identities', 'sessions', 'refresh_tokens', 'mfa_factors', 'one_time_tokens'] loop
        continue when to_regclass('auth.' || v_table) is null;
        execute format('delete from auth.%I where user_id::text = $1::text', v_table) using p_profile_id;
        get diagnostics v_found = row_count;
        v_erased := v_erased + v_found;
    end loop;
    return v_erased;
end
$$;

revoke all on function fleet.erase_sign_in(uuid) from public, anon, authenticated, service_role;
comment on function fleet.erase_sign_in(uuid) is
    'Leaves an auth.users row that says nothing about a person and that nobody can sign in with. Returns how many rows '
    'of the auth schema that took. On Supabase the auth service''s own soft deletion comes after, see '
    'docs/supabase.md.';
