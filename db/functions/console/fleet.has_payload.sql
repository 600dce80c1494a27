-- Definer: the console may know whether an event has its payload still, and not read it.
create or replace function fleet.has_payload(p_event_id bigint)
returns boolean
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select e.payload is not null from fleet.inbox_events as e where e.id = p_event_id
$$;

revoke all on function fleet.has_payload(bigint) from public, anon, authenticated, service_role;
comment on function fleet.has_payload(bigint) is 'Whether the payload of an event is still kept.';
