-- Halves and events are found by their indexes at any size of table, whatever its statistics say.
create or replace function fleet.reconsider_payments(p_told fleet.fact[], p_now timestamptz)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    update fleet.inbox_events as e
    set state = 'pending', reason = null, attempts = 0, next_attempt_at = p_now
    from unnest(p_told) as f
    join fleet.payment_halves as h on h.payment_id = f.payment_id
    where f.kind = 'names' and fleet.has_our_metadata(f.half)
        and h.told_by = 'intent'
        and e.provider = h.provider and e.provider_event_id = h.provider_event_id
        and e.state = 'ignored' and e.reason = 'not_ours' and e.payload is not null
        and not exists (select 1 from public.coin_purchases as cp where cp.payment_id = f.payment_id)
$$;

revoke all on function fleet.reconsider_payments(fleet.fact[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.reconsider_payments(fleet.fact[], timestamptz) is
    'Makes paid events pending again that were ignored as not ours, if a session that was not paid yet now shows that '
    'their payments are ours.';
