create or replace function fleet.close_other_account(p_purchase_id bigint, p_who text, p_reason text)
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_event_id bigint;
begin
    if coalesce(btrim(p_who), '') = '' or coalesce(btrim(p_reason), '') = '' then
        raise exception 'closing a purchase of another account needs the purchase, who decided and why'
            using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    select e.id into v_event_id
    from public.coin_purchases as cp
    join fleet.inbox_events as e on e.provider = cp.provider and e.provider_event_id = cp.provider_event_id
    where cp.id = p_purchase_id and cp.provider = 'stripe' and cp.granted_at is not null;
    if not found then
        raise exception 'no event of Stripe brought purchase %', p_purchase_id
            using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.record_action(
        'close other account', p_who, p_reason, jsonb_build_object('purchase_id', p_purchase_id), array[v_event_id]
    );
    return v_event_id;
end
$$;

revoke all on function fleet.close_other_account(bigint, text, text) from public, anon, authenticated, service_role;
comment on function fleet.close_other_account(bigint, text, text) is
    'For the owner: says that a person has dealt with a purchase whose event is of another Stripe account, so that the '
    'proof names it no more; moves no coins. Returns the event.';
