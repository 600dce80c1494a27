-- How far the history of each provider has been read, and what was found there that no webhook had brought.
create table fleet.backfills (
    id bigint generated always as identity primary key,
    provider text not null,
    is_scheduled boolean not null,
    from_at timestamptz not null,
    to_at timestamptz not null,
    cursor text,
    reached_at timestamptz,
    found bigint not null default 0,
    missed bigint not null default 0,
    seen bigint not null default 0,
    attempts integer not null default 1,
    worker text not null,
    started_at timestamptz not null,
    read_at timestamptz,
    finished_at timestamptz,
    failing_since timestamptz,
    last_error text,
    constraint provider_known check (provider in ('stripe', 'apple', 'google', 'app')),
    constraint cursor_is_short check (char_length(cursor) <= 2000)
);
create unique index backfills_scheduled_idx on fleet.backfills (provider) where is_scheduled;
create unique index backfills_asked_idx on fleet.backfills (provider, from_at)
where not is_scheduled and finished_at is null;
revoke all on fleet.backfills from public, anon, authenticated, service_role;
comment on table fleet.backfills is
    'Readings of a provider''s history: one row per provider for the timetable, which is read on and on, and one per '
    '`coinfleet backfill`. Whoever counts attempts up last goes on with it; another one stops.';
comment on column fleet.backfills.from_at is 'From when the provider''s events are read, in this pass.';
comment on column fleet.backfills.to_at is 'Until when, in this pass.';
comment on column fleet.backfills.cursor is
    'Where to go on in this pass, as the provider''s module reads it; null: from its beginning.';
comment on column fleet.backfills.reached_at is
    'The watermark: what the provider made up to this time, by its own clock, is in the inbox. Never goes back.';
comment on column fleet.backfills.found is 'How many events it stored that were not in the inbox, over all passes.';
comment on column fleet.backfills.missed is
    'How many of them were more than 15 minutes old, so that a webhook is lost.';
comment on column fleet.backfills.seen is 'How many events it read that were in the inbox before.';
comment on column fleet.backfills.read_at is 'When the newest page was stored.';
comment on column fleet.backfills.finished_at is 'When this pass ended; null while it goes on.';
comment on column fleet.backfills.failing_since is 'Since when the provider refuses or does not answer; null: it does.';
comment on column fleet.backfills.last_error is 'Status and code of the last failure; never a part of an answer.';

-- The events that were found in a history and had not come by a webhook.
create table fleet.found_events (
    event_id bigint primary key references fleet.inbox_events (id) on delete cascade,
    backfill_id bigint not null references fleet.backfills (id),
    provider text not null,
    event_type text not null,
    made_at timestamptz not null,
    found_at timestamptz not null,
    is_missed boolean not null
);
create index found_events_backfill_id_idx on fleet.found_events (backfill_id);
create index found_events_missed_idx on fleet.found_events (provider, found_at) where is_missed;
revoke all on fleet.found_events from public, anon, authenticated, service_role;
comment on table fleet.found_events is 'Events that a backfill stored, because no webhook had brought them.';
comment on column fleet.found_events.made_at is 'The provider''s time of the event.';
comment on column fleet.found_events.is_missed is
    'It was more than 15 minutes old when it was found. Of a younger one the webhook may still have been on its way.';

-- Google's orders are asked for one after the other, those of the last 60 days.
create index if not exists coin_purchases_google_idx on public.coin_purchases (purchased_at, id)
where provider = 'google';
