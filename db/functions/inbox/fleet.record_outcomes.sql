-- Events have to be found by their primary key at any size of batch and inbox. Hence enable_seqscan = off, and no `=`
-- below: of the state, with it the planner might choose the pending index, which has an entry for each event applied
-- since the last vacuum; of the id, with it a plan may read the whole index in its order. To plan takes longer than to
-- write one outcome, so the plan is kept.
create or replace function fleet.record_outcomes(p_outcomes fleet.outcome[], p_now timestamptz)
returns table (event_id bigint, state text, reason text)
language sql
volatile
security invoker
set search_path = '', pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
    -- Five attempts in about 15 s; then the event is dead, until an operator makes it pending again.
    update fleet.inbox_events as e
    set
        state = case
            when o.state <> 'failed' then o.state
            when e.attempts >= 4 then 'dead'
            else 'pending'
        end,
        reason = case
            when o.state <> 'failed' then o.reason
            when e.attempts >= 4 then 'failed'
        end,
        attempts = e.attempts + (o.state <> 'pending')::integer,
        payment_id = coalesce(o.payment_id, e.payment_id),
        next_attempt_at = case
            when o.state = 'failed' then p_now + interval '1 second' * 2 ^ least(e.attempts, 10)
            else coalesce(o.retry_at, e.next_attempt_at)
        end,
        processed_at = case
            when o.state in ('pending', 'waiting') or (o.state = 'failed' and e.attempts < 4) then e.processed_at
            else p_now
        end,
        last_error = coalesce(o.error, e.last_error)
    from unnest(p_outcomes) as o
    -- A worker that reports a failure late finds that another worker applied the event.
    where e.id = any(array[o.event_id]) and e.state is not distinct from 'pending'
    returning e.id, e.state, e.reason
$$;

revoke all on function fleet.record_outcomes(fleet.outcome[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.record_outcomes(fleet.outcome[], timestamptz) is
    'Writes each event''s new state once; a failed event is tried five times with growing pauses, then it is dead.';
