create or replace function public.cleanup_stale_viewers()
returns bigint
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select fleet.sweep_viewers()
$$;

revoke all on function public.cleanup_stale_viewers() from public, anon, authenticated, service_role;
comment on function public.cleanup_stale_viewers() is
    'Removes viewers who were silent for 60 s or longer, up to 200,000 per call; returns how many. Runs every 30 s.';
