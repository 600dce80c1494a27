create or replace function fleet.old_ids(p_profile_id uuid)
returns text[]
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
begin
    if to_regclass('fleet.upgraded_users') is null then
        return '{}';
    end if;
    return array(
        select u.old_id from fleet.upgraded_users as u where u.profile_id = p_profile_id
        union
        -- An account under their address that could not become theirs is theirs all the same.
        select coalesce(q.source_row ->> 'id', q.source_key)
        from fleet.quarantine as q
        join auth.users as a on lower(btrim(a.email)) = lower(btrim(q.source_row ->> 'email'))
        where q.source_table in ('users', 'profiles') and a.id = p_profile_id and btrim(a.email) <> ''
    );
end
$$;

revoke all on function fleet.old_ids(uuid) from public, anon, authenticated, service_role;
comment on function fleet.old_ids(uuid) is
    'Whom a profile was in an older generation: the user it was made of, and users in quarantine with the same e-mail '
    'address. None where nothing was upgraded.';
