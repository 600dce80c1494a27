-- Definer: operators may release what is frozen, not write tables.
create or replace function public.release_coin_purchase(
    p_purchase_id bigint,
    p_who text,
    p_reason text,
    p_typed_by text default null
)
returns table (purchase_id bigint, released text[], coins numeric)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_who text := fleet.deciding_person(p_who);
    v_payment_id bigint;
    v_coins numeric;
    v_released text[];
    v_now timestamptz;
begin
    if coalesce(btrim(p_reason), '') = '' then
        raise exception 'a release needs a reason' using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    v_payment_id := fleet.lock_purchase(p_purchase_id);
    v_now := clock_timestamp();
    v_coins := (
        select coalesce(sum(cp.coin_amount - cp.refunded_coins) filter (where cp.granted_at is not null), 0)
        from fleet.purchases_of_payments(array[v_payment_id]) as of
        join fleet.frozen_purchases as z on z.purchase_id = of.purchase_id
        join public.coin_purchases as cp on cp.id = of.purchase_id
    );
    with ended as (
        update fleet.freezes as f
        set released_at = v_now, released_by = v_who, is_released_by_person = true, release_reason = btrim(p_reason)
        where f.payment_id = v_payment_id and f.released_at is null
        returning f.source || ' ' || f.source_id as name
    )
    select array_agg(e.name order by e.name) into v_released from ended as e;
    if v_released is not null then
        perform fleet.settle_freezes(array[v_payment_id], v_now);
        insert into fleet.operator_actions (action, who, typed_by, reason, detail)
        values (
            'purchases release', v_who, coalesce(nullif(btrim(p_typed_by), ''), v_who), btrim(p_reason),
            jsonb_build_object('purchase_id', p_purchase_id, 'freezes', v_released, 'coins', v_coins)
        );
    end if;
    return query select p_purchase_id, coalesce(v_released, '{}'), v_coins;
end
$$;

revoke all on function public.release_coin_purchase(bigint, text, text, text)
from public, anon, authenticated, service_role;
comment on function public.release_coin_purchase(bigint, text, text, text) is
    'A person releases every open freeze of a purchase''s payment, for good: only a warning, review or inquiry that is '
    'new freezes it again. Returns what was released, none if nothing was frozen, and the coins that can be spent now. '
    'Who did it and why is kept in fleet.operator_actions.';
