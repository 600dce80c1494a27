-- Definer: the worker may claim events, not read or write the inbox.
-- The planner is made to read the pending index in order. The table's statistics may still be those of a short queue
-- when a long one comes, and a bitmap scan or a sort would then read, at each claim, every event applied since the
-- last vacuum.
create or replace function fleet.claim_events(p_limit integer, p_now timestamptz default null)
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
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_set_aside bigint[];
    v_first_id bigint := 0;
    v_began_at timestamptz;
    v_claimed bigint;
    v_took interval;
begin
    -- Mostly nothing is noted.
    if current_setting('coinfleet.claims_from', true) <> '' then
        v_first_id := fleet.claims_from();
    end if;
    perform fleet.recover_batch_starts(v_now);
    -- An event that was in a batch whose worker died is tried alone: if the next worker dies too, only this event can
    -- be the cause.
    return query
    select
        e.id, e.provider, e.provider_event_id, e.event_type, e.payload, e.received_at, e.attempts,
        pg_current_xact_id()
    from fleet.inbox_events as e
    where e.state = 'pending' and e.starts > 0
        and (e.next_attempt_at <= v_now or e.next_attempt_at > v_now + interval '5 minutes')
    order by e.id
    limit 1
    for no key update skip locked;
    if found then
        return;
    end if;
    v_set_aside := array(select s.event_id from fleet.set_aside_events as s where s.setbacks > 0);
    if cardinality(v_set_aside) > 0 then
        return query
        select
            e.id, e.provider, e.provider_event_id, e.event_type, e.payload, e.received_at, e.attempts,
            pg_current_xact_id()
        from fleet.claim_set_aside_event(v_now) as c
        join fleet.inbox_events as e on e.id = c.event_id;
        if found then
            return;
        end if;
    end if;
    v_began_at := clock_timestamp();
    return query
    select
        e.id, e.provider, e.provider_event_id, e.event_type, e.payload, e.received_at, e.attempts,
        pg_current_xact_id()
    from fleet.inbox_events as e
    where e.state = 'pending' and e.starts = 0 and e.id >= v_first_id and e.id <> all(v_set_aside)
        and (
            e.next_attempt_at <= v_now
            -- This event was given no pause: a clock that was ahead dated it.
            or e.next_attempt_at <= e.received_at + interval '10 milliseconds'
            -- No pause is longer than this.
            or e.next_attempt_at > v_now + interval '5 minutes'
        )
    order by e.id
    limit p_limit
    for no key update skip locked;
    get diagnostics v_claimed = row_count;
    v_took := clock_timestamp() - v_began_at;
    if v_first_id = 0 and v_took > interval '20 milliseconds' + v_claimed * interval '0.2 milliseconds' then
        perform fleet.note_slow_claim(v_took);
    end if;
end
$$;

revoke all on function fleet.claim_events(integer, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.claim_events(integer, timestamptz) is
    'Locks and returns up to p_limit due events in the order of arrival, or one event that has to be tried alone. The '
    'row lock is the claim: it ends with the transaction, however that ends.';
