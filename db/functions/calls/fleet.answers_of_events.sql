-- Definer: the worker may read answers, not the outbox.
create or replace function fleet.answers_of_events(p_event_ids bigint[])
returns table (event_id bigint, answer text)
language sql
stable
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    select c.event_id, c.result::text
    from fleet.provider_calls as c
    where c.event_id = any(p_event_ids) and c.state = 'done' and c.result is not null
$$;

revoke all on function fleet.answers_of_events(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.answers_of_events(bigint[]) is 'The stored answers that these events asked for, as JSON.';
