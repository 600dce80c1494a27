-- Which events a payment had, finished ones too. On a large inbox it is made by hand before, concurrently.
create index if not exists inbox_events_payment_id_idx on fleet.inbox_events (payment_id) where payment_id is not null;
