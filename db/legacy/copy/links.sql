create or replace function upgrade.copy_links(p_after bigint, p_upto bigint)
returns void
language sql
volatile
set search_path = ''
as $$
    insert into public.user_links (profile_id, label, url, position)
    select s.profile_id, s.label, s.url, s.position
    from upgrade.links as s
    where s.no > p_after and s.no <= p_upto and s.fate = 'move'
$$;
