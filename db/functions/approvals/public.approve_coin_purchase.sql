-- Definer: operators may decide, not write tables of money.
create or replace function public.approve_coin_purchase(
    p_purchase_id bigint,
    p_who text,
    p_reason text,
    p_coins bigint default null
)
returns table (purchase_id bigint, status text, decision text, waits_for text)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_who text := fleet.deciding_person(p_who);
    v_purchase public.coin_purchases;
    v_payment_id bigint;
    v_most bigint;
    v_coins bigint;
    v_usd numeric;
    v_first bigint;
    v_needs_second boolean;
    v_is_first boolean;
    v_now timestamptz;
begin
    if coalesce(btrim(p_reason), '') = '' then
        raise exception 'an approval needs a reason' using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    v_payment_id := fleet.lock_purchase(p_purchase_id);
    v_now := clock_timestamp();
    v_purchase := fleet.undecided_purchase(p_purchase_id, v_who);
    if fleet.is_granted_otherwise(p_purchase_id)
        or fleet.is_refunded_otherwise(p_purchase_id)
        or exists (select 1 from fleet.payments as p where p.id = v_payment_id and p.rejection is not null)
    then
        perform fleet.raise_refusal('decided_meanwhile');
    end if;
    if v_purchase.hold_reason = 'unknown_buyer' then
        raise exception 'purchase % names no one buyer: say who it is with attribute_held_event', p_purchase_id
            using errcode = 'invalid_parameter_value';
    end if;
    v_most := fleet.coins_on_approval(v_purchase);
    if v_most is null then
        perform fleet.raise_refusal('no_price');
    end if;

    -- Two people approve the same number of coins; the second need not name it.
    select d.coins into v_first
    from fleet.decisions as d
    where d.purchase_id = p_purchase_id and d.outcome = 'first_approval'
        and (d.coins = v_most or d.coins < v_most and v_purchase.hold_reason in ('unknown_product', 'wrong_amount'))
    order by d.id desc
    limit 1;
    v_coins := coalesce(p_coins, v_first, v_most);
    if v_coins < 1 or v_coins > v_most
        or (v_coins < v_most and v_purchase.hold_reason not in ('unknown_product', 'wrong_amount'))
    then
        raise exception 'this purchase is worth % coins; fewer are for a wrong amount or an unknown product', v_most
            using errcode = 'invalid_parameter_value';
    end if;
    if not fleet.has_room(v_purchase.profile_id, v_coins, true) then
        perform fleet.raise_refusal('account_full');
    end if;
    v_usd := fleet.usd_of_purchase(v_purchase, v_now);
    v_needs_second := fleet.needs_second_approver(v_usd);
    if v_needs_second and v_coins <> v_first then
        perform fleet.raise_refusal('decided_meanwhile');
    end if;
    v_is_first := v_needs_second and v_first is null;
    insert into fleet.decisions (
        purchase_id, verb, outcome, who, reason, hold_reason, coins, needs_second, decided_at
    )
    values (
        p_purchase_id, 'approve', case when v_is_first then 'first_approval' else 'granted' end, v_who,
        btrim(p_reason), v_purchase.hold_reason, v_coins, v_needs_second, v_now
    );
    if not v_is_first then
        perform fleet.grant_held_purchase(p_purchase_id, v_payment_id, v_coins, v_usd, v_now);
    end if;
    return query
    select cp.id, cp.status, cp.decision, case when v_is_first then 'second_approver' end
    from public.coin_purchases as cp
    where cp.id = p_purchase_id;
end
$$;

revoke all on function public.approve_coin_purchase(bigint, text, text, bigint)
from public, anon, authenticated, service_role;
comment on function public.approve_coin_purchase(bigint, text, text, bigint) is
    'A person approves a held purchase: it is priced again and granted, less what was refunded; or it waits for a '
    'second_approver. p_coins grants fewer where the amount or the product was wrong. Raises CF011 if this person has '
    'decided it before, CF012 if it was decided otherwise meanwhile, CF013 if there is nothing to price it by, CF014 '
    'if the account can''t count so many coins.';
