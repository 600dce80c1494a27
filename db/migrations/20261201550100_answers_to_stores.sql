-- squawk-ignore-file adding-field-with-default, require-concurrent-index-creation
-- Questions of stores are few, and settings are one row: each step takes a moment.
-- What is answered to a store that asks about a purchase, and whether Apple may be told at all.
alter table fleet.settings add column apple_customers_consented boolean not null default false;
comment on column fleet.settings.apple_customers_consented is
    'Whether customers agreed that Apple is told what became of a purchase whose refund they ask for; without it '
    'nothing is answered to Apple.';

alter table fleet.store_inquiries
add column id bigint generated always as identity,
add column payment_key text;
update fleet.store_inquiries set payment_key = inquiry_id where provider = 'apple';
create unique index store_inquiries_id_idx on fleet.store_inquiries (id);
comment on column fleet.store_inquiries.id is 'The number by which people answer it.';
comment on column fleet.store_inquiries.payment_key is
    'The name of the payment that is asked about: Apple''s transaction id, Google''s order id.';

comment on column fleet.operator_actions.action is
    'The command: replay, replay calls, rates set, rates import, purchases answer.';
comment on table fleet.operator_actions is
    'Who had events processed again, had calls made again, set rates or answered a store, and why. One row per '
    'transaction of a command. Append-only.';
