create or replace function upgrade.copy_messages(p_after bigint, p_upto bigint)
returns void
language sql
volatile
set search_path = ''
as $$
    insert into public.chat_messages (id, stream_id, profile_id, body, created_at)
    select s.id, s.stream_id, s.profile_id, s.body, coalesce(s.created_at, 'epoch')
    from upgrade.messages as s
    where s.no > p_after and s.no <= p_upto and s.fate = 'move'
$$;
