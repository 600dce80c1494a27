-- Definer: the worker may not read the inbox.
create or replace function fleet.traces_of_events(p_event_ids bigint[])
returns table (event_id bigint, traceparent text)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select e.id, e.traceparent
    from fleet.inbox_events as e
    where e.id = any(p_event_ids) and e.traceparent is not null
    order by e.id
$$;

revoke all on function fleet.traces_of_events(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.traces_of_events(bigint[]) is
    'The spans in which these events were received, of those that were traced.';
