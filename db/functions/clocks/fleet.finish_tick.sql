-- Definer: the worker has no right to the table itself.
create or replace function fleet.finish_tick(p_job text, p_tick bigint, p_now timestamptz default null)
returns void
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    select fleet.end_tick(p_job, p_tick, 'done', null, coalesce(p_now, clock_timestamp()))
$$;

revoke all on function fleet.finish_tick(text, bigint, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.finish_tick(text, bigint, timestamptz) is
    'Records that a held tick''s job is done, in the transaction that holds it.';
