-- What a direct call left to a person has no event, by which fleet.hold_reminders knows what it said.
create table fleet.purchase_reminders (
    purchase_id bigint primary key references public.coin_purchases (id) on delete cascade,
    reminded_at timestamptz not null
);
revoke all on fleet.purchase_reminders from public, anon, authenticated, service_role;
comment on table fleet.purchase_reminders is
    'Held purchases without an event of which an alarm said that half of their time is over.';
