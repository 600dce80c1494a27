create or replace function fleet.newer_store_payment(p_known fleet.store_payments, p_told fleet.store_payments)
returns fleet.store_payments
language plpgsql
immutable
security invoker
set search_path = '', pg_temp
as $$
begin
    p_known.provider_payment_id := coalesce(p_known.provider_payment_id, p_told.provider_payment_id);
    -- Whose it is is settled once.
    if p_known.attributed_to is null then
        p_known.profile_id := coalesce(p_known.profile_id, p_told.profile_id);
    end if;
    p_known.buyer_unreadable := p_known.buyer_unreadable or p_told.buyer_unreadable;
    -- What a person said counts before what a client did.
    if p_told.is_attributed_by_person and not p_known.is_attributed_by_person then
        p_known.attributed_to := p_told.attributed_to;
        p_known.is_attributed_by_person := true;
    end if;
    if p_known.profile_id is null then
        p_known.attributed_to := coalesce(p_known.attributed_to, p_told.attributed_to);
    end if;
    p_known.quantity := greatest(p_known.quantity, p_told.quantity);
    if p_known.provider = 'google' then
        p_known.reversed_milli_percent := greatest(p_known.reversed_milli_percent, p_told.reversed_milli_percent);
    elsif (p_told.told_at, p_told.reversed_milli_percent) > (p_known.told_at, p_known.reversed_milli_percent) then
        p_known.reversed_milli_percent := p_told.reversed_milli_percent;
    end if;
    p_known.told_at := greatest(p_known.told_at, p_told.told_at);
    p_known.is_sandbox := p_known.is_sandbox or p_told.is_sandbox;
    p_known.is_acknowledged := p_known.is_acknowledged or p_told.is_acknowledged;
    p_known.is_consumed := p_known.is_consumed or p_told.is_consumed;
    return p_known;
end
$$;

revoke all on function fleet.newer_store_payment(fleet.store_payments, fleet.store_payments)
from public, anon, authenticated, service_role;
comment on function fleet.newer_store_payment(fleet.store_payments, fleet.store_payments) is
    'Merges two rows about one payment of a store: Apple''s newest snapshot, of one time the larger; Google''s '
    'largest. The result is the same in any order and after any repetition.';
