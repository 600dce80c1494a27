-- Definer: the worker may claim events, not read the inbox.
-- It returns the columns of fleet.claim_events, but finds its events by the note: which of them are due was decided
-- then.
create or replace function fleet.claim_noted_events(p_xact_id xid8)
returns table (
    id bigint,
    provider text,
    provider_event_id text,
    event_type text,
    payload bytea,
    received_at timestamptz,
    attempts integer,
    xact_id xid8
)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_event_ids bigint[];
begin
    -- This lock is held until the batch ends: by it others know that a worker is at work on the batch.
    select b.event_ids into v_event_ids
    from fleet.batch_starts as b
    where b.xact_id = p_xact_id and b.is_ahead
    for update;
    if cardinality(v_event_ids) = 1 and exists (
        select from fleet.set_aside_events as s where s.event_id = v_event_ids[1] and s.setbacks > 0
    ) then
        perform set_config('lock_timeout', '1000', true);
    end if;
    return query
    select
        e.id, e.provider, e.provider_event_id, e.event_type, e.payload, e.received_at, e.attempts,
        pg_current_xact_id()
    from fleet.inbox_events as e
    where e.id = any(v_event_ids) and e.state = 'pending'
    order by e.id
    for no key update skip locked;
end
$$;

revoke all on function fleet.claim_noted_events(xid8) from public, anon, authenticated, service_role;
comment on function fleet.claim_noted_events(xid8) is
    'Locks a batch that fleet.note_batch_ahead noted, and returns those of its events that no other worker has taken '
    'meanwhile. fleet.forget_batch_start ends the batch in the same transaction.';
