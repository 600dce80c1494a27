-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.unconverted_disputes(p_payment_ids bigint[])
returns setof bigint
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    select distinct d.payment_id
    from fleet.disputes as d
    join fleet.amounts_paid(p_payment_ids) as b on b.payment_id = d.payment_id
    where d.payment_rate is null
        and d.currency <> b.currency
        and d.status not in ('won', 'prevented', 'warning_closed')
        -- An inquiry takes nothing, whatever its currency.
        and (
            d.status = 'lost'
            or exists (
                select 1
                from fleet.dispute_transactions as t
                where t.provider = d.provider and t.dispute_id = d.dispute_id and t.amount < 0
            )
        )
$$;

revoke all on function fleet.unconverted_disputes(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.unconverted_disputes(bigint[]) is
    'Those of these payments that have an open or lost dispute in another currency without a rate: the whole payment '
    'counts as disputed.';
