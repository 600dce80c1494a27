-- What people decide about held purchases: each decision once, by whom and why, and what it asks of the provider.

create table fleet.decisions (
    id bigint generated always as identity primary key,
    purchase_id bigint references public.coin_purchases (id),
    event_id bigint references fleet.inbox_events (id),
    verb text not null,
    outcome text not null,
    who text not null,
    reason text not null,
    hold_reason text not null,
    coins bigint,
    profile_id uuid references public.profiles (id),
    needs_second boolean not null default false,
    decided_at timestamptz not null,
    constraint of_a_purchase_or_an_event check (num_nonnulls(purchase_id, event_id) = 1),
    constraint verb_and_outcome_known check (
        verb || ' ' || outcome in (
            'approve first_approval', 'approve granted', 'reject refund_requested', 'reject closed',
            'attribute attributed'
        )
    ),
    constraint who_and_reason_are_said check (btrim(who) <> '' and btrim(reason) <> ''),
    constraint approvals_name_coins check ((verb = 'approve') = (coins is not null) and coins > 0),
    constraint attributions_name_a_profile check ((verb = 'attribute') = (profile_id is not null))
);
-- Nobody decides twice, in whatever case a name is written.
create unique index decisions_purchase_id_who_idx on fleet.decisions (purchase_id, lower(who));
create index decisions_event_id_idx on fleet.decisions (event_id) where event_id is not null;
create unique index decisions_event_id_who_idx on fleet.decisions (event_id, lower(who))
where verb = 'reject';
create unique index decisions_attributed_once_idx on fleet.decisions (event_id) where verb = 'attribute';
create index decisions_profile_id_idx on fleet.decisions (profile_id) where profile_id is not null;
-- One word ends a purchase: a grant or a rejection.
create unique index decisions_ended_once_idx on fleet.decisions (purchase_id)
where outcome in ('granted', 'refund_requested', 'closed');
revoke all on fleet.decisions from public, anon, authenticated, service_role;
comment on table fleet.decisions is
    'Who decided what about a held purchase, or about an event that is held without one, and why. Append-only.';
comment on column fleet.decisions.who is 'The login of the person, the name that the console verified, or expiry.';
comment on column fleet.decisions.hold_reason is 'What it was held for when this was decided.';
comment on column fleet.decisions.coins is 'The coins of an approval. Two people approve the same number.';
comment on column fleet.decisions.profile_id is 'The buyer that an attribution names.';
comment on column fleet.decisions.needs_second is 'Whether the purchase needed two people when this was decided.';

alter table public.coin_purchases add column refund_requested boolean not null default false;
comment on column public.coin_purchases.refund_requested is
    'A person rejected the purchase and its payment is to be refunded at the provider; while it is pending it '
    'waits for the refund.';

alter table fleet.payments add column rejection text;
alter table fleet.payments add constraint rejection_known check (rejection in ('no_refund', 'refund')) not valid;
comment on column fleet.payments.rejection is
    'A person rejected this payment while it had no purchase, with a refund at the provider or without one: '
    'none of its events buys anything.';

alter table fleet.payment_halves add column is_attributed boolean not null default false;
comment on column fleet.payment_halves.is_attributed is
    'A person said whose payment this is, which stands before what its events say.';

alter table fleet.settings
add column second_approver_above_usd numeric(12, 2),
add column hold_expires_days integer;
alter table fleet.settings add constraint decision_rules_positive
check (second_approver_above_usd >= 0 and hold_expires_days > 0) not valid;
comment on column fleet.settings.second_approver_above_usd is
    'Above this, and where the worth in US dollars is unknown, two people approve; null: one always suffices.';
comment on column fleet.settings.hold_expires_days is
    'After so many days a held purchase is rejected and refunded; null: never.';

create table fleet.hold_reminders (
    event_id bigint primary key references fleet.inbox_events (id) on delete cascade,
    reminded_at timestamptz not null
);
revoke all on fleet.hold_reminders from public, anon, authenticated, service_role;
comment on table fleet.hold_reminders is 'Held events of which an alarm said that half of their time is over.';
