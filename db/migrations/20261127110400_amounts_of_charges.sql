-- What a charge took, in its own currency: a direct call tells dollars, whatever was charged.

alter table fleet.payments
add column charge_minor bigint,
add column charge_currency text;
comment on column fleet.payments.charge_minor is 'What the provider''s charge captured, in charge_currency, as its refunds tell it. Refunds divide by it where the purchase was recorded in another currency.';
