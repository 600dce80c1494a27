create or replace function upgrade.copy_follows(p_after bigint, p_upto bigint)
returns void
language sql
volatile
set search_path = ''
as $$
    insert into public.follows (follower_id, followee_id, created_at)
    select s.follower_id, s.followee_id, coalesce(s.created_at, 'epoch')
    from upgrade.follows as s
    where s.no > p_after and s.no <= p_upto and s.fate = 'move'
$$;
