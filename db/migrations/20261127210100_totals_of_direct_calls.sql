-- What the provider's own events say that a payment's total is, where a direct call recorded it in dollars or net of tax.

alter table fleet.payments
add column total_minor bigint,
add column total_currency text,
add column total_told_by text;
comment on column fleet.payments.total_minor is 'The whole total of a payment, in total_currency, as its intent or else its session tells it; kept for payments that a direct call recorded, or that nothing was granted for yet. Refunds of a direct call''s purchase divide by it, unless its charge has told what it captured.';
