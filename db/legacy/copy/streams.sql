create or replace function upgrade.copy_streams(p_after bigint, p_upto bigint)
returns void
language sql
volatile
set search_path = ''
as $$
    insert into public.live_streams (id, profile_id, title, live_available, is_published, started_at, ended_at)
    select s.id, s.profile_id, s.title, s.live_available, false, s.started_at, s.ended_at
    from upgrade.streams as s
    where s.no > p_after and s.no <= p_upto and s.fate = 'move'
$$;
