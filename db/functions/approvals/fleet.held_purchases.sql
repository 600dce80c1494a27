-- Definer: operators may look at what is held, not at every table.
create or replace function fleet.held_purchases(p_limit integer default 100)
returns table (
    purchase_id bigint,
    event_id bigint,
    provider text,
    provider_payment_id text,
    reason text,
    profile_id uuid,
    sku text,
    quantity integer,
    coin_amount bigint,
    amount_minor bigint,
    amount numeric,
    currency text,
    usd_amount numeric,
    held_since timestamptz,
    waits_for text,
    approvals text[]
)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select h.* from fleet.held_page(null, null, null, null, p_limit) as h
$$;

revoke all on function fleet.held_purchases(integer) from public, anon, authenticated, service_role;
comment on function fleet.held_purchases(integer) is
    'What waits for a person, or for the refund that a person asked for, the longest held first: the first page of '
    'fleet.held_page.';
