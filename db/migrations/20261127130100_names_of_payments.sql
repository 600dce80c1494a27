-- Two grants that turn out to be one payment are linked; a clash of ids is a reason to hold; providers have four names.

create table fleet.joined_purchases (
    purchase_id bigint primary key references public.coin_purchases (id),
    payment_id bigint not null,
    joined_by text,
    joined_at timestamptz not null default clock_timestamp(),
    is_taken_back boolean not null default false,
    closed_at timestamptz,
    closed_by text,
    closed_reason text,
    constraint closed_by_a_person_with_a_reason check (num_nonnulls(closed_at, closed_by, closed_reason) in (0, 3))
);
create index joined_purchases_payment_id_idx on fleet.joined_purchases (payment_id);
comment on table fleet.joined_purchases is 'Purchases that turned out to be of one payment, all of them, under the payment that has its names. Refunds and disputes of that payment are settled with each in the same ratio.';
comment on column fleet.joined_purchases.joined_by is 'The event that named the payment by names of both.';
comment on column fleet.joined_purchases.is_taken_back is 'A person decided that the coins of this purchase are taken back whole, whatever is refunded.';

-- Filled from JSON by name, so functions of the last release pass it by.
alter type fleet.fact add attribute joins_grants boolean;

-- Made anew below with one reason more.
-- squawk-ignore ban-drop-constraint
alter table public.coin_purchases drop constraint hold_reason_known;
alter table public.coin_purchases add constraint hold_reason_known check (
    hold_reason in (
        'over_limit', 'velocity', 'needs_approval', 'unknown_buyer', 'unknown_product', 'wrong_amount', 'no_fx_rate', 'id_conflict'
    )
) not valid;

-- Rows from before keep the names that they have, and are still updated: a check that is not valid would refuse that.
do $$
begin
    execute format(
        'alter table public.coin_purchases add constraint provider_known check ('
        'provider in (''stripe'', ''apple'', ''google'', ''app'') or id <= %s) not valid',
        (select coalesce(max(cp.id), 0) from public.coin_purchases as cp)
    );
    execute format(
        'alter table public.coin_packages add constraint provider_known check (provider = any(%L::text[])) not valid',
        (
            select array_agg(n.provider order by n.provider)
            from (
                select unnest(array['stripe', 'apple', 'google', 'app']) as provider
                union
                select k.provider from public.coin_packages as k
            ) as n
        )
    );
end
$$;
-- The few that have another name, for each event asks for them.
create index coin_purchases_old_names_idx on public.coin_purchases (provider_payment_id)
where provider not in ('stripe', 'apple', 'google', 'app');
