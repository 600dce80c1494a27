-- Definer: the worker has no right to the inbox itself.
create or replace function fleet.judge_holds_again(p_limit integer default 500, p_now timestamptz default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_event_ids bigint[];
    v_others bigint[];
begin
    -- The release before did not close a hold whose money was refunded. Locked, in case the refund fails meanwhile.
    perform fleet.close_refunded_holds(
        array(
            select cp.payment_id
            from fleet.inbox_events as e
            join public.coin_purchases as cp
                on cp.provider = e.provider and cp.provider_event_id = e.provider_event_id
            where e.state = 'held'
                and cp.granted_at is null
                and (cp.decision is null or cp.refund_requested)
                and cp.status <> 'pending'
            order by cp.id
            limit p_limit
            for no key update of cp skip locked
        ),
        v_now
    );
    v_event_ids := array(
        select e.id
        from fleet.inbox_events as e
        left join public.coin_purchases as cp
            on cp.provider = e.provider and cp.provider_event_id = e.provider_event_id
        left join fleet.payments as p on p.id = e.payment_id
        left join fleet.hold_judgements as j on j.event_id = e.id
        where e.state = 'held' and e.reason in ('unknown_buyer', 'unknown_product', 'no_fx_rate', 'wrong_amount')
            -- Not again before its pause is over; a time ahead of now comes from a clock that was ahead.
            and (
                j.event_id is null or j.judged_at > v_now
                or j.judged_at + least(interval '1 minute' * 2 ^ least(j.judgements, 11), interval '1 day') <= v_now
            )
            -- What a person has begun to decide is left to people.
            and not exists (select 1 from fleet.decisions as d where d.purchase_id = cp.id)
            and case
                when cp.id is null and p.rejection is not null then false
                when cp.id is null then
                    exists (
                        select 1
                        from fleet.payment_halves as h
                        join public.profiles as p on p.id = h.profile_id
                        where h.payment_id = e.payment_id and e.reason = 'unknown_buyer'
                    )
                    -- A store named somebody who has signed up since, or such a client submitted it.
                    or exists (
                        select 1
                        from fleet.store_payments as s
                        join public.profiles as p on p.id = coalesce(
                            s.buyer_id,
                            case
                                when not s.buyer_unreadable
                                    then substring(
                                        e.provider_event_id
                                        from '^client:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):'
                                    )::uuid
                            end
                        )
                        where s.payment_id = e.payment_id and e.reason = 'unknown_buyer'
                    )
                    -- Held before events' halves were stored: judged once, which stores them.
                    or j.event_id is null and not exists (
                        select 1
                        from fleet.payment_halves as h
                        where h.provider = e.provider and h.provider_event_id = e.provider_event_id
                    )
                    and e.provider not in ('apple', 'google')
                when cp.granted_at is not null or cp.decision is not null or cp.status <> 'pending' then false
                when cp.provider in ('apple', 'google') then (
                    select case cp.hold_reason
                        when 'unknown_product' then k.coins is not null
                        when 'no_fx_rate' then k.list_usd is not null
                            or fleet.usd_per_minor_unit(cp.currency, v_now) is not null
                        else false
                    end
                    from fleet.price_line_items(cp.provider, fleet.line_items_of_payment(cp.payment_id)) as k
                )
                -- Under another name, which has joined since, an event of the payment told another product or quantity.
                when cp.hold_reason in ('unknown_product', 'wrong_amount') and cp.provider = 'stripe' and exists (
                    select 1
                    from fleet.payment_halves as h
                    where h.payment_id = e.payment_id
                    having (min(h.quantity) = max(h.quantity) and min(h.quantity) <> cp.quantity)
                        or (min(h.sku) = max(h.sku) and min(h.sku) <> cp.sku)
                )
                -- A purchase that shares its payment with another is left to a person.
                and not exists (select 1 from fleet.joined_purchases as o where o.purchase_id = cp.id) then true
                when cp.hold_reason = 'unknown_product' then exists (
                    select 1 from public.coin_packages as k where k.provider = cp.provider and k.sku = cp.sku
                )
                when cp.hold_reason = 'no_fx_rate' then fleet.usd_per_minor_unit(cp.currency, v_now) is not null
                -- A worker of the release before held it, which knew nothing of shipping and tax. What a worker of
                -- this one holds has a half that names its object, and waits for a person. So does what stays without
                -- one for days: it is no purchase any more as this release reads it.
                when cp.hold_reason = 'wrong_amount' then cp.provider = 'stripe'
                and coalesce(j.judgements, 0) < 12 and not exists (
                    select 1
                    from fleet.payment_halves as h
                    where h.provider = e.provider and h.provider_event_id = e.provider_event_id
                        and h.told_by is not null
                )
                else false
            end
        order by e.id
        limit p_limit
        for no key update of e skip locked
    );
    -- What the release before read of the other events of these payments is not stored either: a session tells what of
    -- its intent's amount is shipping and tax.
    v_others := array(
        select o.id
        from fleet.inbox_events as e
        join fleet.inbox_events as o on o.payment_id = e.payment_id
        where e.id = any(v_event_ids) and e.provider = 'stripe' and o.id <> e.id
            and o.event_type in (
                'payment_intent.succeeded', 'checkout.session.completed', 'checkout.session.async_payment_succeeded'
            )
            and (o.state, o.reason) in (('applied', 'duplicate_payment'), ('ignored', 'not_ours'))
            and o.payload is not null
            and not exists (
                select 1
                from fleet.payment_halves as h
                where h.provider = 'stripe' and h.told_by is not null
                    and h.provider_event_id in (e.provider_event_id, o.provider_event_id)
            )
        -- All of them: a hold that is judged without its session is not judged again.
        order by o.id
        for no key update of o skip locked
    );
    insert into fleet.hold_judgements as j (event_id, judged_at)
    select u.event_id, v_now
    from unnest(v_event_ids) as u (event_id)
    on conflict (event_id) do update set judgements = j.judgements + 1, judged_at = excluded.judged_at;

    -- As if the event had just come: it is claimed, read and judged again, under all locks and rules of a first time.
    update fleet.inbox_events as e
    set state = 'pending', reason = null, attempts = 0, next_attempt_at = v_now
    where e.id = any(v_event_ids || v_others);
    return cardinality(v_event_ids);
end
$$;

revoke all on function fleet.judge_holds_again(integer, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.judge_holds_again(integer, timestamptz) is
    'Makes up to p_limit events pending that are held for what has come since, a buyer, a product, a rate or another '
    'half of the payment, or for an amount of which the release before did not know shipping and tax, and that no '
    'person has decided; returns how many.';
