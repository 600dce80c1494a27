create or replace function fleet.newer_payment(p_known fleet.payments, p_told fleet.payments)
returns fleet.payments
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
begin
    p_known.is_foreign := p_known.is_foreign or p_told.is_foreign;
    if (coalesce(p_told.refund_total_at, '-infinity'), p_told.refund_total_minor)
        > (coalesce(p_known.refund_total_at, '-infinity'), p_known.refund_total_minor)
    then
        p_known.refund_total_at := p_told.refund_total_at;
        p_known.refund_total_minor := p_told.refund_total_minor;
    end if;
    -- Of two told in the same second the smaller uncaptured amount: more of a charge is captured as time goes on,
    -- never less.
    if p_told.uncaptured_at > coalesce(p_known.uncaptured_at, '-infinity')
        or (p_told.uncaptured_at = p_known.uncaptured_at and p_told.uncaptured_minor < p_known.uncaptured_minor)
    then
        p_known.uncaptured_at := p_told.uncaptured_at;
        p_known.uncaptured_minor := p_told.uncaptured_minor;
    end if;
    -- A store may not say what was paid.
    if p_told.held_event_id is not null and (
        p_known.held_event_id is null
        or (coalesce(p_told.held_minor, 0), -p_told.held_event_id)
            > (coalesce(p_known.held_minor, 0), -p_known.held_event_id)
    ) then
        p_known.held_minor := p_told.held_minor;
        p_known.held_currency := p_told.held_currency;
        p_known.held_event_id := p_told.held_event_id;
        p_known.held_reason := p_told.held_reason;
    end if;
    -- One charge has one currency, and captures more as time goes on.
    p_known.charge_minor := greatest(p_known.charge_minor, p_told.charge_minor);
    p_known.charge_currency := greatest(p_known.charge_currency, p_told.charge_currency);
    -- Of two totals the intent's, then the larger one: it is what was charged.
    if p_known.total_minor is null or (p_told.total_told_by, -p_told.total_minor, p_known.total_currency)
        < (p_known.total_told_by, -p_known.total_minor, p_told.total_currency)
    then
        p_known.total_minor := p_told.total_minor;
        p_known.total_currency := p_told.total_currency;
        p_known.total_told_by := p_told.total_told_by;
    end if;
    -- With a refund beats without one.
    p_known.rejection := greatest(p_known.rejection, p_told.rejection);
    return p_known;
end
$$;

revoke all on function fleet.newer_payment(fleet.payments, fleet.payments)
from public, anon, authenticated, service_role;
comment on function fleet.newer_payment(fleet.payments, fleet.payments) is
    'Merges two rows about one payment: of each fact the newest. The result is the same in any order and after any '
    'repetition.';
