create or replace function fleet.lock_held_event(p_event_id bigint, p_profile_id uuid default null)
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    v_fact fleet.fact;
    v_facts fleet.fact[];
begin
    select k.provider, array[k.key] into v_fact.provider, v_fact.payment_keys
    from fleet.inbox_events as e
    -- A look-up, in every plan: one that was made while there were few keys is kept, and must not read all of them.
    cross join lateral (
        select n.provider, n.key
        from fleet.payment_keys as n
        where n.payment_id = e.payment_id and n.provider = e.provider
        limit 1
    ) as k
    where e.id = p_event_id;
    if not found then
        raise exception 'no event of a payment has the number %', p_event_id using errcode = 'invalid_parameter_value';
    end if;
    v_facts := fleet.lock_payments(array[v_fact]);
    v_facts[1].profile_id := p_profile_id;
    perform fleet.lock_profiles(v_facts);
    return v_facts[1].payment_id;
end
$$;

revoke all on function fleet.lock_held_event(bigint, uuid) from public, anon, authenticated, service_role;
comment on function fleet.lock_held_event(bigint, uuid) is
    'Locks the payment of an event and whoever it may be granted to, in the lock order, and returns the payment.';
