create or replace function fleet.store_halves(p_facts fleet.fact[])
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    insert into fleet.payment_halves as h (
        provider, provider_event_id, payment_id, profile_id, buyer_unreadable, by_reference, sku, quantity,
        quantity_unreadable, currency, deductions_minor, told_by
    )
    select
        f.provider, f.provider_event_id, f.payment_id, coalesce(f.profile_id, a.profile_id),
        coalesce(f.buyer_unreadable, a.buyer_unreadable, false), coalesce(f.by_reference, a.by_reference, false),
        coalesce(f.sku, a.sku), coalesce(f.quantity, a.quantity),
        coalesce(f.quantity_unreadable, a.quantity_unreadable, false), coalesce(f.currency, a.currency),
        coalesce(f.deductions_minor, a.deductions_minor, '{}'), coalesce(f.told_by, a.told_by)
    from unnest(p_facts) as f
    cross join lateral jsonb_to_record(coalesce(f.half, '{}')) as a (
        profile_id uuid, buyer_unreadable boolean, by_reference boolean, sku text, quantity integer,
        quantity_unreadable boolean, currency text, deductions_minor bigint[], told_by text
    )
    -- If an event is interpreted again, it may be understood better.
    on conflict (provider, provider_event_id) do update
    set
        payment_id = excluded.payment_id,
        profile_id = excluded.profile_id,
        buyer_unreadable = excluded.buyer_unreadable,
        by_reference = excluded.by_reference,
        sku = excluded.sku,
        quantity = excluded.quantity,
        quantity_unreadable = excluded.quantity_unreadable,
        currency = excluded.currency,
        deductions_minor = excluded.deductions_minor,
        told_by = excluded.told_by
$$;

revoke all on function fleet.store_halves(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.store_halves(fleet.fact[]) is
    'Stores what these events told of their payments, for events of the same payments that come later.';
