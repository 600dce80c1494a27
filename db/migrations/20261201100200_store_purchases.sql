-- What Apple and Google told of each payment, and how it is kept beside its purchase.

create table fleet.store_payments (
    payment_id bigint primary key,
    provider text not null,
    store_app text not null,
    provider_payment_id text,
    profile_id uuid,
    buyer_unreadable boolean not null default false,
    attributed_to uuid,
    is_attributed_by_person boolean not null default false,
    buyer_id uuid generated always as (
        case when is_attributed_by_person then attributed_to else coalesce(profile_id, attributed_to) end
    ) stored,
    quantity integer not null default 1,
    told_at timestamptz not null,
    reversed_milli_percent integer not null default 0,
    is_sandbox boolean not null default false,
    is_acknowledged boolean not null default false,
    is_consumed boolean not null default false,
    constraint provider_is_a_store check (provider in ('apple', 'google')),
    constraint quantity_positive check (quantity > 0),
    constraint reversed_between_nothing_and_all check (reversed_milli_percent between 0 and 100000),
    constraint people_attribute_to_somebody check (attributed_to is not null or not is_attributed_by_person)
);
revoke all on fleet.store_payments from public, anon, authenticated, service_role;
comment on table fleet.store_payments is
    'What a store told of a payment: one row, the same whatever the order of its events and however often they came.';
comment on column fleet.store_payments.store_app is 'The bundle id or the package name.';
comment on column fleet.store_payments.provider_payment_id is
    'Apple''s transaction id, Google''s purchase token; null while only a reversal told of the payment.';
comment on column fleet.store_payments.profile_id is
    'The buyer that the store names; no foreign key, because that may be nobody, or sign up later.';
comment on column fleet.store_payments.attributed_to is
    'Whose payment it is although the store names nobody: who submitted it first, or whom a person named. Set once.';
comment on column fleet.store_payments.buyer_id is 'Whose payment it is: whom a person named, the store, or a client.';
comment on column fleet.store_payments.told_at is
    'The time of the event that told reversed_milli_percent; Google''s newest.';
comment on column fleet.store_payments.reversed_milli_percent is
    'How much of the payment went back, in thousandths of a percent: Apple''s newest word, Google''s largest.';

create table fleet.store_line_items (
    payment_id bigint not null,
    product_id text not null,
    quantity integer not null,
    reversed_quantity integer not null default 0,
    unit_coins bigint,
    primary key (payment_id, product_id),
    constraint quantity_positive check (quantity > 0),
    constraint reversed_quantity_not_negative check (reversed_quantity >= 0),
    constraint coins_positive check (unit_coins > 0)
);
revoke all on fleet.store_line_items from public, anon, authenticated, service_role;
comment on table fleet.store_line_items is 'The products of a store''s payment.';
comment on column fleet.store_line_items.reversed_quantity is 'The largest number that any event said went back.';
comment on column fleet.store_line_items.unit_coins is
    'Coins of one when the purchase was priced; null while the product is not in the price list.';

create table fleet.store_voids (
    payment_id bigint not null,
    told_at timestamptz not null,
    voided_quantity integer not null,
    primary key (payment_id, told_at, voided_quantity),
    constraint voided_quantity_not_negative check (voided_quantity >= 0)
);
revoke all on fleet.store_voids from public, anon, authenticated, service_role;
comment on table fleet.store_voids is 'Google''s voided records, each once; they add up.';
comment on column fleet.store_voids.voided_quantity is 'How many went back; 0 is the whole.';

create table fleet.sandbox_grants (
    payment_id bigint primary key,
    profile_id uuid not null references public.profiles (id),
    granted_at timestamptz not null,
    coins bigint not null
);
create index sandbox_grants_profile_id_granted_at_idx on fleet.sandbox_grants (profile_id, granted_at);
revoke all on fleet.sandbox_grants from public, anon, authenticated, service_role;
comment on table fleet.sandbox_grants is
    'Purchases that cost nothing and were granted to profiles of SANDBOX_PROFILES; their coins a day are limited.';

alter table fleet.settings
add column store_sandbox text not null default 'ignore',
add column sandbox_profiles uuid[] not null default '{}',
add column sandbox_coins_per_day bigint not null default 10000;
alter table fleet.settings add constraint sandbox_rules_known
check (store_sandbox in ('ignore', 'grant') and sandbox_coins_per_day > 0) not valid;
comment on column fleet.settings.store_sandbox is
    'ignore: purchases that cost nothing (sandbox, test accounts) grant no coins, except to sandbox_profiles; grant: '
    'they grant coins as others do.';

-- A store may not say what was paid: its products say the coins.
-- squawk-ignore ban-drop-not-null
alter table public.coin_purchases alter column amount_minor drop not null, alter column currency drop not null;
alter table public.coin_purchases add constraint only_stores_leave_out_the_amount
check (
    (amount_minor is null) = (currency is null) and (amount_minor is not null or provider in ('apple', 'google'))
) not valid;
comment on column public.coin_purchases.amount_minor is
    'What was paid, in minor units of currency; null if Apple or Google did not say.';

-- squawk-ignore require-concurrent-index-creation
create index coin_packages_product_idx on public.coin_packages (provider, (coalesce(product_id, sku)));
comment on column public.coin_packages.product_id is
    'The store''s name of the product, if that is not the sku. All rows of one product have the same coins.';
