-- The inbox: each event once, its state, and what its interpretation and its application look like in SQL.

create table fleet.inbox_events (
    id bigint generated always as identity primary key,
    provider text not null,
    provider_event_id text not null,
    event_type text not null,
    payload bytea,
    payload_sha256 bytea not null,
    state text not null default 'pending',
    reason text,
    attempts integer not null default 0,
    starts integer not null default 0,
    payment_id bigint,
    received_at timestamptz not null default clock_timestamp(),
    next_attempt_at timestamptz not null default clock_timestamp(),
    processed_at timestamptz,
    last_error text,
    constraint one_row_an_event unique (provider, provider_event_id),
    constraint state_known check (state in ('pending', 'waiting', 'held', 'applied', 'ignored', 'rejected', 'dead')),
    constraint event_id_between_1_and_255_characters check (char_length(provider_event_id) between 1 and 255),
    constraint refusals_have_a_reason check (state not in ('held', 'rejected', 'ignored', 'dead') or reason is not null)
)
-- Each event leaves one dead version behind: vacuum early, so that the pending index stays short.
with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

-- Payloads are JSON of a few KB, read once: compressing costs more than it saves.
alter table fleet.inbox_events alter column payload set storage external;

create index inbox_events_pending_idx on fleet.inbox_events (id) where state = 'pending';
create index inbox_events_suspect_idx on fleet.inbox_events (id) where state = 'pending' and starts > 0;
create index inbox_events_waiting_idx on fleet.inbox_events (next_attempt_at) where state = 'waiting';
create index inbox_events_held_idx on fleet.inbox_events (id) where state = 'held';
create index inbox_events_dead_idx on fleet.inbox_events (id) where state = 'dead';
create index inbox_events_open_payment_idx on fleet.inbox_events (payment_id) where state in ('waiting', 'held');
create index inbox_events_received_at_idx on fleet.inbox_events using brin (received_at);
comment on table fleet.inbox_events is 'Every event that was acknowledged, once, in exactly one state. Open: pending, waiting, held. Final: applied, ignored, rejected, dead.';
comment on column fleet.inbox_events.payload is 'The body as it was signed; dropped after 90 days.';
comment on column fleet.inbox_events.starts is 'How many workers died while they held this event. One such event is claimed alone.';
comment on column fleet.inbox_events.payment_id is 'The payment of an event that waits or is held, so that its other half finds it.';

create table fleet.event_tallies (
    id bigint generated always as identity primary key,
    provider text not null,
    state text not null,
    delta bigint not null
);
comment on table fleet.event_tallies is 'How many events are in each state, as changes: appended by each statement, folded by housekeeping, so that counting costs nothing as history grows.';

create table fleet.batch_starts (
    xact_id xid8 primary key,
    event_ids bigint[] not null,
    worker text not null,
    noted_at timestamptz not null default clock_timestamp()
);
comment on table fleet.batch_starts is 'A batch that a worker began, committed ahead of the batch itself. One whose transaction is gone tells of a worker that died.';

create type fleet.fact as (
    event_id bigint,
    kind text,
    provider text,
    provider_event_id text,
    received_at timestamptz,
    payment_keys text[],
    payment_id bigint,
    state text,
    reason text,
    provider_payment_id text,
    profile_id uuid,
    buyer_unreadable boolean,
    sku text,
    quantity integer,
    amount_minor bigint,
    currency text,
    purchased_at timestamptz,
    ip_address inet,
    country_code text,
    user_agent text,
    direct_coins bigint,
    direct_usd numeric,
    sender_id uuid,
    recipient_id uuid,
    gift_type text,
    stream_id bigint,
    slot_index integer,
    refund_id text,
    status text,
    cumulative_minor bigint,
    dispute_id text,
    transactions jsonb
);
comment on type fleet.fact is 'What interpretation says of one event. kind: purchase, gift, refund, refund_total, dispute or verdict; event_id is null in a direct call.';

create type fleet.purchase_decision as (
    event_id bigint,
    payment_id bigint,
    purchase_id bigint,
    creates boolean,
    granted boolean,
    state text,
    reason text,
    profile_id uuid,
    provider text,
    provider_event_id text,
    provider_payment_id text,
    sku text,
    quantity integer,
    coin_amount bigint,
    amount_minor bigint,
    currency text,
    usd_amount numeric,
    hold_reason text,
    requires_approval boolean,
    ip_address inet,
    country_code text,
    user_agent text,
    purchased_at timestamptz,
    received_at timestamptz
);
comment on type fleet.purchase_decision is 'A purchase fact, decided.';

create type fleet.gift_decision as (
    event_id bigint,
    gift_id bigint,
    refusal text,
    replayed boolean,
    provider_event_id text,
    sender_id uuid,
    recipient_id uuid,
    stream_id bigint,
    gift_type text,
    quantity integer,
    slot_index integer,
    coin_amount bigint,
    streamer_revenue bigint,
    received_at timestamptz
);
comment on type fleet.gift_decision is 'A gift fact with its price and split; refusal is null while only the balance is left to ask.';

create type fleet.posting as (
    transaction_no integer,
    leg smallint,
    profile_id uuid,
    account text,
    amount bigint,
    reason text,
    idempotency_key text,
    gift_coins bigint
);
comment on type fleet.posting is 'One leg of a ledger transaction to be written. transaction_no counts from 1 in the call; gift_coins is the whole gift on the streamer''s leg.';

create type fleet.outcome as (
    event_id bigint,
    state text,
    reason text,
    payment_id bigint,
    purchase_id bigint,
    gift_id bigint,
    replayed boolean,
    retry_at timestamptz,
    error text
);
comment on type fleet.outcome is 'What became of one fact. retry_at is set for an event that stays open.';
