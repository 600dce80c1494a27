-- Definer: the worker may apply events, not write tables. Only workers of an older release call this.
create or replace function fleet.apply_events(p_facts jsonb, p_now timestamptz default null)
returns table (event_id bigint, state text, reason text)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select a.event_id, a.state, a.reason from fleet.apply_claimed_events(p_facts, p_now) as a where a.waited_s is null;
end
$$;

revoke all on function fleet.apply_events(jsonb, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.apply_events(jsonb, timestamptz) is
    'Applies a claimed batch as fleet.apply_claimed_events does, and returns only the batch''s own outcomes.';
