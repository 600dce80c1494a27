-- squawk-ignore-file adding-field-with-default, require-concurrent-index-deletion, adding-foreign-key-constraint
-- Nothing made calls before this: the table is empty or small, and each step takes a moment.
-- Who makes a call, since when, why it failed, and which event waits for its answer.
alter table fleet.provider_calls
add column provider text not null generated always as (split_part(kind, '.', 1)) stored,
add column event_id bigint references fleet.inbox_events (id),
add column worker text,
add column first_attempt_at timestamptz,
add column finished_at timestamptz,
add column give_up_at timestamptz,
add column failures integer not null default 0,
add column last_error text;

-- A kind at a time: calls that nobody can make now, for want of a key, are in the way of no others.
create index provider_calls_open_idx on fleet.provider_calls (kind, next_attempt_at) where state = 'pending';
drop index fleet.provider_calls_due_idx;
create index provider_calls_leased_idx on fleet.provider_calls (kind)
where state = 'pending' and lease_until is not null;
create index provider_calls_dead_idx on fleet.provider_calls (id) where state = 'dead';
create index provider_calls_event_id_idx on fleet.provider_calls (event_id) where event_id is not null;

-- Which refunds of ours came to nothing is asked from both sides.
create index provider_calls_refund_id_idx on fleet.provider_calls ((result ->> 'refund_id'))
where result ->> 'refund_id' is not null;
create index refunds_without_effect_idx on fleet.refunds (refund_id) where status in ('failed', 'canceled');

comment on table fleet.provider_calls is
    'The outbox: calls to a provider, written by the transaction that decides and made outside any. One per key, '
    'which is also the provider''s idempotency key. pending, done or dead.';
comment on column fleet.provider_calls.kind is 'The provider and what it is asked to do: stripe.refund.';
comment on column fleet.provider_calls.event_id is
    'The event that waits for the answer; null for a call that no event waits for.';
comment on column fleet.provider_calls.attempts is
    'How often it was claimed. A result counts only if it is of the newest attempt.';
comment on column fleet.provider_calls.failures is
    'How often it failed for a cause of its own, such as a defect of the program; the fifth time it is dead. '
    'Outages do not count.';
comment on column fleet.provider_calls.next_attempt_at is
    'When it may be claimed; while a worker makes it, when that worker is given up.';
comment on column fleet.provider_calls.lease_until is
    'Set while a worker makes the call; after that time another worker may claim it.';
comment on column fleet.provider_calls.worker is 'Who claimed it last.';
comment on column fleet.provider_calls.give_up_at is
    'After this time an outage, too, makes it dead; null: it is tried for ever.';
comment on column fleet.provider_calls.last_error is 'Status and code of the last failure; never a part of an answer.';

alter type fleet.fact add attribute call jsonb;
comment on type fleet.fact is
    'What interpretation says of one event. kind: purchase, gift, refund, refund_total, dispute, names, question or'
    ' verdict; event_id is null in a direct call. hold_reason and told_whole are set by fleet.combine_halves; call '
    'is the kind, key and request of a question''s call.';
