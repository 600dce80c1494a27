-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.convert_disputes(p_payment_ids bigint[], p_now timestamptz)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    -- The rate is kept from then on, so that a later rate moves no coins.
    update fleet.disputes as d
    set payment_rate = q.rate
    from (
        select
            w.provider,
            w.dispute_id,
            fleet.usd_per_minor_unit(w.currency, p_now) / fleet.usd_per_minor_unit(b.currency, p_now) as rate
        from fleet.disputes as w
        join fleet.amounts_paid(p_payment_ids) as b on b.payment_id = w.payment_id
        where w.payment_rate is null and w.currency <> b.currency
    ) as q
    where d.provider = q.provider and d.dispute_id = q.dispute_id and q.rate is not null
$$;

revoke all on function fleet.convert_disputes(bigint[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.convert_disputes(bigint[], timestamptz) is
    'Stores today''s rate, if there is one, with disputes in another currency than their payment''s.';
