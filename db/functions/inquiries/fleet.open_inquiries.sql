-- Definer: operators and workers may see what stores ask, not the tables behind it. A plan that was made for few rows
-- is kept; without sequential scans it is right for many rows too.
create or replace function fleet.open_inquiries()
returns table (
    id bigint,
    provider text,
    inquiry_id text,
    event_id bigint,
    order_id text,
    store_app text,
    reason text,
    asked_at timestamptz,
    deadline timestamptz,
    is_sandbox boolean,
    purchase_id bigint,
    profile_id uuid,
    status text,
    hold_reason text,
    decision text,
    coin_amount bigint,
    refunded_coins bigint,
    amount numeric,
    currency text,
    is_delivered boolean,
    consumed_milli_percent integer,
    blocked_by text,
    answers_itself_at timestamptz
)
language sql
stable
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    select
        i.id, i.provider, i.inquiry_id, i.event_id, p.order_id, i.store_app, i.reason, i.asked_at, i.deadline,
        i.is_sandbox, cp.id, coalesce(cp.profile_id, s.buyer_id), cp.status, cp.hold_reason,
        coalesce(cp.decision, case when f.rejection is not null then 'rejected' end), cp.coin_amount,
        cp.refunded_coins, fleet.major_amount(cp.amount_minor, cp.currency), cp.currency, cp.granted_at is not null,
        case
            -- The coins of it that the buyer could not give back now.
            when cp.granted_at is not null and cp.coin_amount > 0 then floor(
                greatest(cp.coin_amount - cp.refunded_coins - greatest(pr.coin_balance, 0), 0)::numeric
                * 100000 / cp.coin_amount
            )::integer
        end,
        a.blocked_by,
        case
            when i.provider <> 'apple' or a.blocked_by is not null then null
            -- There is nothing left for a person to say.
            when i.is_sandbox or cp.decision = 'rejected' or f.rejection is not null then i.asked_at
            else i.asked_at + (i.deadline - i.asked_at) / 2
        end
    from fleet.store_inquiries as i
    cross join fleet.settings as g
    left join fleet.provider_calls as c on c.key = fleet.answer_key(i.provider, i.inquiry_id)
    -- The payment, by its name: two payments may have turned out to be one since the question came.
    left join lateral (
        select
            coalesce(k.payment_id, e.payment_id) as payment_id,
            case
                when i.provider = 'google' then coalesce(
                    i.payment_key,
                    (
                        select min(o.key)
                        from fleet.payment_keys as o
                        where o.payment_id = e.payment_id and o.provider = 'google'
                            and fleet.payment_key_kind(o.key) = 'order'
                    )
                )
            end as order_id
        from fleet.inbox_events as e
        left join fleet.payment_keys as k on k.provider = i.provider and k.key = i.payment_key
        where e.id = i.event_id
    ) as p on true
    left join fleet.store_payments as s on s.payment_id = p.payment_id
    left join fleet.payments as f on f.id = p.payment_id
    -- Its purchase; of several that turned out to be one payment the granted one.
    left join lateral (
        select q.*
        from fleet.purchases_of_payments(array[p.payment_id]) as o
        cross join lateral (select r.* from public.coin_purchases as r where r.id = o.purchase_id limit 1) as q
        order by q.granted_at is null, q.id
        limit 1
    ) as cp on true
    left join lateral (
        select b.coin_balance from public.profiles as b where b.id = cp.profile_id limit 1
    ) as pr on true
    cross join lateral (
        select case
            when i.provider = 'apple' and not g.apple_customers_consented then 'no_consent'
            -- Nobody can say that it was delivered, nor that it was not.
            when i.provider = 'apple' and cp.id is null and s.provider_payment_id is null then 'unknown_purchase'
            when i.provider = 'google' and p.order_id is null then 'unknown_order'
        end as blocked_by
    ) as a
    -- In a query of its own, because what changes while a statement runs is no bound for an index.
    where i.deadline > (select clock_timestamp())
        -- Not answered; or the answer was not taken, and the store has asked again.
        and (
            c.id is null
            or i.asked_at > c.finished_at and (c.state = 'dead' or c.result ->> 'note' = 'too_late')
        )
        -- Once all of it went back, nothing is left to ask.
        and coalesce(cp.status, '') not in ('refunded', 'chargeback')
        and coalesce(s.reversed_milli_percent, 0) < 100000
    order by i.deadline, i.id
$$;

revoke all on function fleet.open_inquiries() from public, anon, authenticated, service_role;
comment on function fleet.open_inquiries() is
    'What stores ask and nobody has answered, with what is known of its purchase; the first deadline first. '
    'blocked_by: why no answer is possible (no_consent, unknown_purchase, unknown_order). answers_itself_at: from when '
    'on Apple is answered without a person. Costs as much as is open.';
