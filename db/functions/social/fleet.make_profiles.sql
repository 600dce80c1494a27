create or replace function fleet.make_profiles(p_after uuid, p_limit integer)
returns table (last_id uuid, made bigint)
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_ids uuid[];
begin
    -- Row level security would hide users silently.
    if row_security_active('auth.users') then
        raise exception 'row level security hides auth.users from %', current_user
            using errcode = 'insufficient_privilege';
    end if;
    v_ids := array(
        select u.id
        from auth.users as u
        where (p_after is null or u.id > p_after)
            and not exists (select 1 from public.profiles as p where p.id = u.id)
        order by u.id
        limit p_limit
    );
    if has_table_privilege('auth.users', 'select') then
        -- An auth.users that is not Supabase's may have no created_at.
        insert into public.profiles (id, created_at)
        select u.id, coalesce((to_jsonb(u) ->> 'created_at')::timestamptz, clock_timestamp())
        from auth.users as u
        where u.id = any(v_ids)
        on conflict (id) do nothing;
    else
        insert into public.profiles (id) select unnest(v_ids) on conflict (id) do nothing;
    end if;
    get diagnostics made = row_count;
    last_id := v_ids[cardinality(v_ids)];
    return next;
end
$$;

revoke all on function fleet.make_profiles(uuid, integer) from public, anon, authenticated, service_role;
comment on function fleet.make_profiles(uuid, integer) is
    'Makes profiles for up to p_limit users after p_after who have none, because they signed up before the schema was '
    'here. Returns the last of them, null if none is left. For the schema''s owner.';
