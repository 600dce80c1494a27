create or replace function fleet.store_reversals(p_facts fleet.fact[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_kinds text[] := array(select distinct f.kind from unnest(p_facts) as f);
begin
    -- Each fact is merged with what is stored so that order and repetition change nothing: of a refund the furthest
    -- status and the earliest failure, of a cumulative total and of a dispute the newest. A stored time that is null
    -- counts as the oldest. Workers of the last release tell no times: their cumulative total counts if it is larger,
    -- as it does for them.
    if 'refund' = any(v_kinds) then
        insert into fleet.refunds as r (provider, refund_id, payment_id, amount_minor, status, created_at, undone_at)
        select
            f.provider, f.refund_id, min(f.payment_id), max(f.amount_minor),
            (array_agg(f.status order by fleet.refund_rank(f.status) desc))[1],
            case when bool_and(f.told_at is not null) then min(coalesce(f.refund_created_at, f.told_at)) end,
            min(coalesce(f.told_at, f.received_at)) filter (where f.status in ('failed', 'canceled'))
        from unnest(p_facts) as f
        where f.kind = 'refund'
        group by f.provider, f.refund_id
        on conflict (provider, refund_id) do update
        set
            amount_minor = greatest(r.amount_minor, excluded.amount_minor),
            status = case
                when fleet.refund_rank(excluded.status) > fleet.refund_rank(r.status) then excluded.status else r.status
            end,
            created_at = case
                when r.created_at is not null and excluded.created_at is not null
                    then least(r.created_at, excluded.created_at)
            end,
            undone_at = case
                when r.status not in ('failed', 'canceled') then excluded.undone_at
                when r.undone_at is not null then least(r.undone_at, excluded.undone_at)
            end
        where excluded.amount_minor > r.amount_minor
            or fleet.refund_rank(excluded.status) > fleet.refund_rank(r.status)
            or (r.created_at is not null and (excluded.created_at is null or excluded.created_at < r.created_at))
            or excluded.undone_at < r.undone_at;
    end if;

    if 'refund_total' = any(v_kinds) then
        insert into fleet.payments as p (
            id, refund_total_minor, refund_total_at, uncaptured_minor, uncaptured_at, charge_minor, charge_currency
        )
        select
            f.payment_id,
            (array_agg(f.cumulative_minor order by t.at desc nulls last, f.cumulative_minor desc))[1],
            max(t.at),
            (
                array_agg(f.uncaptured_minor order by t.at desc nulls last, f.uncaptured_minor)
                filter (where f.uncaptured_minor is not null)
            )[1],
            max(t.at) filter (where f.uncaptured_minor is not null),
            max(f.amount_minor) filter (where f.currency is not null),
            max(f.currency) filter (where f.amount_minor is not null)
        from unnest(p_facts) as f
        cross join lateral (
            select coalesce(
                f.told_at, (select k.refund_total_at from fleet.payments as k where k.id = f.payment_id)
            ) as at
        ) as t
        where f.kind = 'refund_total'
        group by f.payment_id
        on conflict (id) do update
        set (refund_total_minor, refund_total_at, uncaptured_minor, uncaptured_at, charge_minor, charge_currency) = (
            select
                n.refund_total_minor, n.refund_total_at, n.uncaptured_minor, n.uncaptured_at,
                n.charge_minor, n.charge_currency
            from fleet.newer_payment(p, excluded) as n
        );
    end if;

    if 'dispute' = any(v_kinds) then
        perform fleet.store_disputes(p_facts);
        perform fleet.freeze_inquiries(p_facts);
    end if;
end
$$;

revoke all on function fleet.store_reversals(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.store_reversals(fleet.fact[]) is
    'Stores what refund and dispute facts tell, so that events in any order, told any number of times, end the same. '
    'The caller holds the locks of their payments.';
