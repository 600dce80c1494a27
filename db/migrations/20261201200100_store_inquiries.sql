-- What a store asks about a purchase. It wants an answer within hours.
create table fleet.store_inquiries (
    provider text not null,
    inquiry_id text not null,
    event_id bigint not null references fleet.inbox_events (id),
    store_app text not null,
    asked_at timestamptz not null,
    deadline timestamptz not null,
    reason text,
    is_sandbox boolean not null default false,
    primary key (provider, inquiry_id),
    constraint provider_known check (provider in ('apple', 'google')),
    constraint deadline_is_later check (deadline >= asked_at)
);
create index store_inquiries_event_id_idx on fleet.store_inquiries (event_id);
create index store_inquiries_deadline_idx on fleet.store_inquiries (deadline);
revoke all on fleet.store_inquiries from public, anon, authenticated, service_role;
comment on table fleet.store_inquiries is
    'Questions of Apple (CONSUMPTION_REQUEST) and Google (pendingRefundReviewNotification) about purchases; a question '
    'that is repeated is one row.';
comment on column fleet.store_inquiries.inquiry_id is 'Apple''s transaction id, Google''s pendingRefundToken.';
comment on column fleet.store_inquiries.event_id is 'The event that asked first; its payment is what is asked about.';
comment on column fleet.store_inquiries.store_app is 'The bundle id or the package name.';
