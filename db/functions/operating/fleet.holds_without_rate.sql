create or replace function fleet.holds_without_rate(p_currencies text[])
returns table (purchase_id bigint, event_id bigint, currency text, amount_minor bigint, has_rate boolean)
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
as $$
    -- What fleet.judge_holds_again asks of a purchase held as no_fx_rate.
    select
        cp.id, e.id, cp.currency, cp.amount_minor,
        fleet.usd_per_minor_unit(cp.currency, clock_timestamp()) is not null
    from fleet.inbox_events as e
    join public.coin_purchases as cp on cp.provider_event_id = e.provider_event_id and cp.provider = e.provider
    where e.state = 'held'
        and e.reason = 'no_fx_rate'
        and cp.hold_reason = 'no_fx_rate'
        and cp.granted_at is null
        and cp.decision is null
        and cp.status = 'pending'
        and cp.currency = any(p_currencies)
    order by cp.id
$$;

revoke all on function fleet.holds_without_rate(text[]) from public, anon, authenticated, service_role;
comment on function fleet.holds_without_rate(text[]) is
    'Purchases in these currencies that are held as no_fx_rate and undecided, and whether there is a rate by now, so '
    'that they are judged again. The cost grows with what is held.';
