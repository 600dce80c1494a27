create or replace function fleet.apply_reversals(p_facts fleet.fact[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    if not exists (select 1 from unnest(p_facts) as f where f.kind in ('refund', 'refund_total', 'dispute')) then
        return;
    end if;
    insert into fleet.refunds as r (provider, refund_id, payment_id, amount_minor, status)
    select
        f.provider, f.refund_id, min(f.payment_id), max(f.amount_minor),
        (array_agg(f.status order by fleet.refund_rank(f.status) desc))[1]
    from unnest(p_facts) as f
    where f.kind = 'refund'
    group by f.provider, f.refund_id
    on conflict (provider, refund_id) do update
    set
        amount_minor = greatest(r.amount_minor, excluded.amount_minor),
        status = case
            when fleet.refund_rank(excluded.status) > fleet.refund_rank(r.status) then excluded.status else r.status
        end
    where excluded.amount_minor > r.amount_minor or fleet.refund_rank(excluded.status) > fleet.refund_rank(r.status);

    insert into fleet.payments as p (id, refund_total_minor)
    select f.payment_id, max(f.cumulative_minor)
    from unnest(p_facts) as f
    where f.kind = 'refund_total'
    group by f.payment_id
    on conflict (id) do update
    set refund_total_minor = excluded.refund_total_minor
    where excluded.refund_total_minor > p.refund_total_minor;

    insert into fleet.disputes as d (provider, dispute_id, payment_id, amount_minor)
    select f.provider, f.dispute_id, min(f.payment_id), max(f.amount_minor)
    from unnest(p_facts) as f
    where f.kind = 'dispute'
    group by f.provider, f.dispute_id
    on conflict (provider, dispute_id) do update
    set amount_minor = excluded.amount_minor
    where excluded.amount_minor > d.amount_minor;

    insert into fleet.dispute_transactions (provider, dispute_id, transaction_id, amount)
    select f.provider, f.dispute_id, t.id, t.amount
    from unnest(p_facts) as f
    cross join lateral jsonb_to_recordset(f.transactions) as t (id text, amount bigint)
    where f.kind = 'dispute'
    on conflict do nothing;

    perform fleet.meet_other_halves(
        array(
            select cp.payment_id
            from unnest(p_facts) as f
            join public.coin_purchases as cp on cp.payment_id = f.payment_id
            where f.kind in ('refund', 'refund_total', 'dispute')
            union
            select j.payment_id
            from unnest(p_facts) as f
            join fleet.joined_purchases as j on j.payment_id = f.payment_id
            where f.kind in ('refund', 'refund_total', 'dispute')
        ),
        p_now
    );
    -- One of these may have shown that what waited under another name is of a payment that is not ours.
    update fleet.inbox_events as e
    set state = 'ignored', reason = 'not_ours', processed_at = p_now
    where e.state = 'waiting' and e.reason = 'no_purchase_yet'
        and e.payment_id = any(
            array(
                select p.id
                from fleet.payments as p
                where p.is_foreign
                    and p.id = any(
                        array(
                            select f.payment_id
                            from unnest(p_facts) as f
                            where f.kind in ('refund', 'refund_total', 'dispute')
                        )
                    )
            )
        );
    return query
    select
        f.event_id,
        v.state,
        case v.state when 'ignored' then 'not_ours' when 'waiting' then 'no_purchase_yet' when 'rejected' then 'no_purchase' end,
        f.payment_id,
        coalesce(cp.id, j.purchase_id),
        null::bigint,
        false,
        case v.state when 'waiting' then f.received_at + interval '35 days' end,
        null::text
    from unnest(p_facts) as f
    left join public.coin_purchases as cp on cp.payment_id = f.payment_id
    left join lateral (
        select n.purchase_id from fleet.joined_purchases as n where n.payment_id = f.payment_id limit 1
    ) as j on true
    left join fleet.payments as p on p.id = f.payment_id
    cross join lateral (
        select case
            when cp.id is not null or j.purchase_id is not null then 'applied'
            when p.is_foreign then 'ignored'
            when f.received_at > p_now - interval '35 days' then 'waiting'
            else 'rejected'
        end as state
    ) as v
    where f.kind in ('refund', 'refund_total', 'dispute');
end
$$;

revoke all on function fleet.apply_reversals(fleet.fact[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.apply_reversals(fleet.fact[], timestamptz) is 'Stores what refund and dispute events tell, then settles their payments. One outcome a reversal fact.';
