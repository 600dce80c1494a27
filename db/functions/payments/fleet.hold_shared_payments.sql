create or replace function fleet.hold_shared_payments(p_payment_ids bigint[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_shared bigint[];
begin
    v_shared := array(
        select u.payment_id
        from unnest(p_payment_ids) as u (payment_id)
        where exists (select 1 from fleet.joined_purchases as j where j.payment_id = u.payment_id)
    );
    if cardinality(v_shared) = 0 then
        return;
    end if;
    with held as (
        update public.coin_purchases as cp
        set hold_reason = 'id_conflict'
        from fleet.joined_purchases as j
        where j.payment_id = any(v_shared) and cp.id = j.purchase_id
            and cp.granted_at is null and cp.decision is null and cp.hold_reason <> 'id_conflict'
            and exists (
                select 1
                from fleet.joined_purchases as o
                join public.coin_purchases as granted on granted.id = o.purchase_id
                where o.payment_id = j.payment_id and granted.granted_at is not null
            )
        returning cp.provider, cp.provider_event_id
    )
    update fleet.inbox_events as e
    set reason = 'id_conflict'
    from held as h
    where e.provider = h.provider and e.provider_event_id = h.provider_event_id and e.state = 'held';
end
$$;

revoke all on function fleet.hold_shared_payments(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.hold_shared_payments(bigint[]) is
    'Holds a held purchase as id_conflict if its payment turned out to be granted already, so that nobody grants it '
    'again by mistake. The caller holds the locks of payments and profiles.';
