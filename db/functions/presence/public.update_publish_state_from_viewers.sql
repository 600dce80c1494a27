-- Definer: the worker has no right to streams or viewers themselves.
create or replace function public.update_publish_state_from_viewers()
returns table (stream_id bigint, is_published boolean)
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    select r.stream_id, r.is_published from fleet.recompute_publish_state() as r
$$;

revoke all on function public.update_publish_state_from_viewers() from public, anon, authenticated, service_role;
comment on function public.update_publish_state_from_viewers() is
    'Sets live_streams.is_published to what viewers require; returns the streams that changed. Runs every 10 s.';
