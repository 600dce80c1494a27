create or replace function fleet.old_user_ids(p_profile_id uuid)
returns text[]
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select array(
        select u.old_id from fleet.upgraded_users as u where u.profile_id = p_profile_id
        union
        -- An account with their e-mail address that could not become their profile is theirs too.
        select coalesce(q.source_row ->> 'id', q.source_key)
        from fleet.quarantine as q
        join auth.users as a on lower(btrim(a.email)) = lower(btrim(q.source_row ->> 'email'))
        where q.source_table in ('users', 'profiles') and a.id = p_profile_id and btrim(a.email) <> ''
    )
$$;

revoke all on function fleet.old_user_ids(uuid) from public, anon, authenticated, service_role;
comment on function fleet.old_user_ids(uuid) is
    'The ids that a profile had in an older generation: the user it was made of, and users in quarantine with the same '
    'e-mail address.';
