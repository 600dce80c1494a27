-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.request_store_calls(p_payment_ids bigint[])
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    insert into fleet.provider_calls (kind, key, request)
    select
        'google.' || a.verb,
        'coinfleet:' || a.verb || ':' || encode(sha256(convert_to(s.provider_payment_id, 'UTF8')), 'hex'),
        jsonb_build_object(
            'package', s.store_app,
            'token', s.provider_payment_id,
            'product_ids', (
                select jsonb_agg(l.product_id order by l.product_id)
                from fleet.store_line_items as l
                where l.payment_id = s.payment_id
            )
        )
    from fleet.store_payments as s
    cross join lateral fleet.purchases_of_payments(array[s.payment_id]) as of
    -- A subquery per purchase: the plan of a join that was made for few rows would read all of them each time.
    cross join lateral (
        select p.status, p.decision from public.coin_purchases as p where p.id = of.purchase_id limit 1
    ) as cp
    cross join lateral (
        -- What is reversed whole is neither ours to consume nor to acknowledge.
        select case
            when cp.status = 'confirmed' and not s.is_consumed then 'consume'
            when cp.status = 'pending' and cp.decision is null and not s.is_acknowledged and not s.is_consumed
                then 'acknowledge'
        end as verb
    ) as a
    where s.payment_id = any(p_payment_ids) and s.provider = 'google' and s.provider_payment_id is not null
        and a.verb is not null
    order by 2
    on conflict (key) do nothing
$$;

revoke all on function fleet.request_store_calls(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.request_store_calls(bigint[]) is
    'Has Google told that purchases are granted (consume), or that they are held (acknowledge), or it refunds them '
    'after three days: rows of the outbox, each once per purchase token.';
