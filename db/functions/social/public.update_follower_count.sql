-- Definer: clients follow and unfollow, and may write no counter.
create or replace function public.update_follower_count()
returns trigger
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_profile_ids uuid[];
    v_changes bigint[];
begin
    if tg_op = 'INSERT' then
        select array_agg(c.followee_id), array_agg(c.change) into v_profile_ids, v_changes
        from (select n.followee_id, count(*) as change from followed as n group by n.followee_id) as c;
    elsif tg_op = 'DELETE' then
        select array_agg(c.followee_id), array_agg(c.change) into v_profile_ids, v_changes
        from (select o.followee_id, -count(*) as change from unfollowed as o group by o.followee_id) as c;
    else
        select array_agg(c.followee_id), array_agg(c.change) into v_profile_ids, v_changes
        from (
            select m.followee_id, sum(m.change)::bigint as change
            from (
                select n.followee_id, 1 as change from followed as n
                union all
                select o.followee_id, -1 from unfollowed as o
            ) as m
            group by m.followee_id
            having sum(m.change) <> 0
        ) as c;
    end if;
    if v_profile_ids is not null then
        perform fleet.add_followers(v_profile_ids, v_changes);
    end if;
    return null;
end
$$;

revoke all on function public.update_follower_count() from public, anon, authenticated, service_role;
comment on function public.update_follower_count() is
    'Keeps profiles.follower_count equal to the number of the profile''s followers: once per statement, whatever its '
    'size.';

-- In PostgreSQL a trigger with a transition table may be for one event only.
create or replace trigger trigger_update_follower_count
after insert on public.follows
referencing new table as followed
for each statement execute function public.update_follower_count();

create or replace trigger trigger_update_follower_count_on_delete
after delete on public.follows
referencing old table as unfollowed
for each statement execute function public.update_follower_count();

create or replace trigger trigger_update_follower_count_on_update
after update on public.follows
referencing old table as unfollowed new table as followed
for each statement execute function public.update_follower_count();
