create or replace function fleet.close_double_grant(
    p_purchase_id bigint,
    p_take_back boolean,
    p_who text,
    p_reason text
)
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_fact fleet.fact;
    v_facts fleet.fact[];
    v_now timestamptz;
begin
    if p_take_back is null or coalesce(btrim(p_who), '') = '' or coalesce(btrim(p_reason), '') = '' then
        raise exception 'closing a double grant needs a purchase, whether its coins are taken back, who decided and why'
            using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    select k.provider, array[k.key] into v_fact.provider, v_fact.payment_keys
    from fleet.joined_purchases as j
    join fleet.payment_keys as k on k.payment_id = j.payment_id
    where j.purchase_id = p_purchase_id
    limit 1;
    if not found then
        raise exception 'purchase % was not granted twice', p_purchase_id
            using errcode = 'invalid_parameter_value', hint = 'invariants.payments_are_granted_once names purchases';
    end if;
    v_facts := fleet.lock_payments(array[v_fact]);
    perform fleet.lock_profiles(v_facts);
    v_now := clock_timestamp();
    if p_take_back and not exists (
        select 1
        from fleet.joined_purchases as j
        join public.coin_purchases as cp on cp.id = j.purchase_id
        where j.payment_id = v_facts[1].payment_id and j.purchase_id <> p_purchase_id
            and cp.granted_at is not null and not j.is_taken_back
    ) then
        raise exception 'no other grant of this payment would be left: purchase % must keep its coins', p_purchase_id
            using errcode = 'invalid_parameter_value';
    end if;
    update fleet.joined_purchases as j
    set
        is_taken_back = case j.purchase_id when p_purchase_id then p_take_back else j.is_taken_back end,
        closed_at = v_now,
        closed_by = btrim(p_who),
        closed_reason = concat_ws('; before: ', btrim(p_reason), j.closed_by || ', ' || j.closed_reason)
    where j.payment_id = v_facts[1].payment_id;
    perform fleet.settle_reversals(array[v_facts[1].payment_id]);
    perform fleet.settle_freezes(array[v_facts[1].payment_id], v_now);
    return (select cp.refunded_coins from public.coin_purchases as cp where cp.id = p_purchase_id);
end
$$;

revoke all on function fleet.close_double_grant(bigint, boolean, text, text)
from public, anon, authenticated, service_role;
comment on function fleet.close_double_grant(bigint, boolean, text, text) is
    'For the owner: closes a payment that was granted twice. With p_take_back the coins of this purchase are taken '
    'back whole; without it they stay, or are given back. Returns how many coins of it are taken back now. May be '
    'called again.';
