create or replace function fleet.add_followers(p_profile_ids uuid[], p_changes bigint[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    -- Profiles are locked in the order of ids, as by every writer; the update itself locks a single one.
    if cardinality(p_profile_ids) > 1 then
        perform 1 from public.profiles as pr where pr.id = any(p_profile_ids) order by pr.id for no key update;
    end if;
    update public.profiles as pr
    set follower_count = pr.follower_count + c.change
    from unnest(p_profile_ids, p_changes) as c (profile_id, change)
    where pr.id = c.profile_id;
end
$$;

revoke all on function fleet.add_followers(uuid[], bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.add_followers(uuid[], bigint[]) is
    'Adds to profiles.follower_count, each profile once. Locks: profiles by id.';
