create schema textbook;
grant usage on schema textbook to coinfleet_web, coinfleet_worker;

create table textbook.events (
    id bigint generated always as identity primary key,
    provider text not null,
    provider_event_id text not null,
    event_type text not null,
    payload bytea not null,
    status text not null default 'pending',
    received_at timestamptz not null default now(),
    processed_at timestamptz,
    unique (provider, provider_event_id)
);
create index on textbook.events (id) where status = 'pending';

create table textbook.profiles (
    id uuid primary key,
    coin_balance bigint not null default 0 check (coin_balance >= 0),
    earnings_balance bigint not null default 0
);

create table textbook.coin_packages (
    sku text primary key,
    coins bigint not null,
    amount_minor bigint not null,
    currency text not null
);

create table textbook.gift_types (
    code text primary key,
    coin_cost bigint not null,
    streamer_share_bps integer not null
);

create table textbook.purchases (
    id bigint generated always as identity primary key,
    provider_payment_id text not null unique,
    profile_id uuid not null references textbook.profiles (id),
    coins bigint not null,
    amount_minor bigint not null,
    created_at timestamptz not null default now()
);
create index on textbook.purchases (profile_id);

create table textbook.gifts (
    id bigint generated always as identity primary key,
    provider_event_id text not null unique,
    sender_id uuid not null references textbook.profiles (id),
    recipient_id uuid not null references textbook.profiles (id),
    gift_type text not null references textbook.gift_types (code),
    coins bigint not null,
    created_at timestamptz not null default now()
);
create index on textbook.gifts (sender_id);
create index on textbook.gifts (recipient_id);

create table textbook.ledger_entries (
    id bigint generated always as identity primary key,
    event_id bigint not null references textbook.events (id),
    profile_id uuid references textbook.profiles (id),
    account text not null,
    amount bigint not null,
    balance_after bigint,
    created_at timestamptz not null default now()
);
create index on textbook.ledger_entries (event_id);
create index on textbook.ledger_entries (profile_id, created_at);

grant insert, select on textbook.events to coinfleet_web;
grant select, insert, update on all tables in schema textbook to coinfleet_worker;
