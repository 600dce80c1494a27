create or replace function fleet.close_id_conflict(p_event_id bigint, p_who text, p_reason text)
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_event record;
    v_fact fleet.fact;
    v_facts fleet.fact[];
    v_purchase_id bigint;
    v_now timestamptz;
begin
    if coalesce(btrim(p_who), '') = '' or coalesce(btrim(p_reason), '') = '' then
        raise exception 'closing a clash of ids needs an event, who decided and why'
            using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    select e.provider, e.provider_event_id, e.payment_id, k.key into v_event
    from fleet.inbox_events as e
    join fleet.payment_keys as k on k.payment_id = e.payment_id and k.provider = e.provider
    where e.id = p_event_id
    limit 1;
    if not found then
        raise exception 'event % names no payment', p_event_id using errcode = 'invalid_parameter_value';
    end if;
    v_fact.provider := v_event.provider;
    v_fact.payment_keys := array[v_event.key];
    v_facts := fleet.lock_payments(array[v_fact]);
    select cp.id into v_purchase_id
    from public.coin_purchases as cp
    where (
            cp.provider_event_id = v_event.provider_event_id
            or cp.provider_payment_id in (
                select k.key from fleet.payment_keys as k where k.payment_id = v_facts[1].payment_id
            )
        )
        and not exists (select 1 from public.coin_purchases as own where own.payment_id = v_facts[1].payment_id)
    order by cp.provider_event_id = v_event.provider_event_id, cp.id
    limit 1;
    if v_purchase_id is null then
        raise exception 'event % has no ids of another purchase, or its payment has a purchase of its own', p_event_id
            using errcode = 'invalid_parameter_value';
    end if;
    insert into fleet.joined_purchases as j (purchase_id, payment_id, joined_by)
    values (v_purchase_id, v_facts[1].payment_id, v_event.provider_event_id)
    on conflict do nothing;
    perform fleet.lock_profiles(v_facts);
    v_now := clock_timestamp();
    update fleet.joined_purchases
    set closed_at = v_now, closed_by = btrim(p_who), closed_reason = btrim(p_reason)
    where purchase_id = v_purchase_id;
    update fleet.inbox_events
    set state = 'applied', reason = 'duplicate_payment', processed_at = v_now
    where payment_id = v_facts[1].payment_id and state = 'held' and reason = 'id_conflict';
    perform fleet.settle_purchased_payments(array[v_facts[1].payment_id], v_now);
    return v_purchase_id;
end
$$;

revoke all on function fleet.close_id_conflict(bigint, text, text) from public, anon, authenticated, service_role;
comment on function fleet.close_id_conflict(bigint, text, text) is
    'For the owner: says that an event, held as id_conflict or a refund of such an event, is about the same payment as '
    'the purchase that has its ids; returns that purchase. From now on refunds and disputes of the event''s payment, '
    'earlier ones too, take that purchase''s coins. If it is another payment, refund it at the provider instead.';
