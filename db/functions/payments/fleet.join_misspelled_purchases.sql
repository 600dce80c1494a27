create or replace function fleet.join_misspelled_purchases(p_facts fleet.fact[])
returns setof bigint
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    -- Before providers' names were checked, `Stripe` was one too. The event of such a purchase is held, because its
    -- ids are taken; but the payment is known, and a refund of it takes the coins.
    insert into fleet.joined_purchases (purchase_id, payment_id, joined_by)
    select distinct on (old.id) old.id, f.payment_id, f.provider_event_id
    from unnest(p_facts) as f
    cross join lateral (
        select cp.id
        from public.coin_purchases as cp
        where cp.provider not in ('stripe', 'apple', 'google', 'app')
            and cp.provider_payment_id = any(f.payment_keys)
            and lower(btrim(cp.provider)) = f.provider
        limit 1
    ) as old
    order by old.id, f.event_id
    on conflict do nothing
    returning payment_id
$$;

revoke all on function fleet.join_misspelled_purchases(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.join_misspelled_purchases(fleet.fact[]) is
    'Joins purchases that were recorded under another spelling of the provider''s name to the payment that events name '
    'by the same id, and returns those payments. The caller holds the payments'' locks.';
