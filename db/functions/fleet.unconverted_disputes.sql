create or replace function fleet.unconverted_disputes(p_payment_ids bigint[])
returns setof bigint
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select distinct d.payment_id
    from fleet.disputes as d
    left join public.coin_purchases as cp on cp.payment_id = d.payment_id
    left join fleet.payments as p on p.id = d.payment_id
    where d.payment_id = any(p_payment_ids)
        and d.payment_rate is null
        and d.currency <> coalesce(cp.currency, p.held_currency)
        and d.status not in ('won', 'prevented', 'warning_closed')
$$;

revoke all on function fleet.unconverted_disputes(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.unconverted_disputes(bigint[]) is 'Which of these payments have an open or lost dispute in another currency without a rate: the whole payment counts as disputed.';
