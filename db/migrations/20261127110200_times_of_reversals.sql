-- Facts of refunds and disputes carry the time of the event that told them: what came first decides what counts.
-- Rows from before have none. An untimed fact is older than every timed one.

alter type fleet.fact add attribute told_at timestamptz;
alter type fleet.fact add attribute refund_created_at timestamptz;
alter type fleet.fact add attribute uncaptured_minor bigint;

alter table fleet.payments
add column refund_total_at timestamptz,
add column uncaptured_minor bigint,
add column uncaptured_at timestamptz,
add column held_minor bigint,
add column held_currency text,
add column held_event_id bigint,
add column held_reason text;
alter table fleet.payments
add constraint uncaptured_not_negative check (uncaptured_minor >= 0) not valid;
alter table fleet.payments
add constraint held_amount_not_negative check (held_minor >= 0) not valid;
comment on column fleet.payments.refund_total_minor is 'The newest cumulative amount_refunded; of one second the largest.';
comment on column fleet.payments.refund_total_at is 'The time of the event that told refund_total_minor; null before times were stored.';
comment on column fleet.payments.uncaptured_minor is 'amount - amount_captured of the charge: authorised, never captured, so no refund though Stripe counts it as one.';
comment on column fleet.payments.held_minor is 'What was paid, in held_currency, by a payment whose event is held without a purchase, as for want of a buyer.';
comment on column fleet.payments.held_event_id is 'The inbox event that told held_minor, and why it is held in held_reason.';

alter table fleet.refunds
add column created_at timestamptz,
add column undone_at timestamptz;
comment on column fleet.refunds.created_at is 'The refund''s own time; null before times were stored.';
comment on column fleet.refunds.undone_at is 'The earliest time an event told that it failed or was canceled; null if none did, or before times were stored.';

alter table fleet.disputes
add column told_at timestamptz,
add column status text,
add column currency text,
add column payment_rate numeric;
comment on table fleet.disputes is 'One row a dispute as its newest event tells it.';
comment on column fleet.disputes.told_at is 'The time of that event; null before times were stored.';
comment on column fleet.disputes.currency is 'The currency of amount_minor; null is the payment''s.';
comment on column fleet.disputes.payment_rate is 'Minor units of the payment''s currency per minor unit of the dispute''s, kept from when it was first known.';

alter table fleet.dispute_transactions add column currency text;
comment on column fleet.dispute_transactions.currency is 'The currency of the movement; null before currencies were stored.';
