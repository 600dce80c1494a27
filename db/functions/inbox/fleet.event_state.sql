-- Definer: web may say what became of an event, not read the inbox.
create or replace function fleet.event_state(p_provider text, p_provider_event_id text)
returns table (state text, reason text, processed_at timestamptz)
language sql
stable
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    select
        e.state,
        e.reason,
        case when e.state in ('applied', 'ignored', 'rejected', 'dead') then e.processed_at end
    from fleet.inbox_events as e
    where e.provider = p_provider and e.provider_event_id = p_provider_event_id
$$;

revoke all on function fleet.event_state(text, text) from public, anon, authenticated, service_role;
comment on function fleet.event_state(text, text) is
    'What became of an event, by its provider''s id; no row if it was never stored. processed_at is set once the state '
    'is final.';
