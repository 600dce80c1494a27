-- Who is watching what, and the little that is kept so that publishing follows what changed.

create table public.active_viewers (
    stream_id bigint not null references public.live_streams (id) on delete cascade,
    viewer_id uuid not null references public.profiles (id),
    is_active boolean not null default false,
    is_unmuted boolean not null default false,
    is_visible boolean not null default false,
    is_subscribed boolean not null default false,
    last_active_at timestamptz not null default clock_timestamp(),
    activated_at timestamptz,
    primary key (stream_id, viewer_id),
    constraint watching_is_all_four_flags check (
        (activated_at is not null) = (is_active and is_unmuted and is_visible and is_subscribed)
    )
)
-- A heartbeat moves last_active_at alone, which no index holds: with room in the page it is a
-- heap-only update. Silence is found by reading the heap, which costs 0.1 s a million viewers; an
-- index on last_active_at would cost each of their heartbeats three index entries instead.
with (fillfactor = 70);

create index active_viewers_viewer_id_activated_at_idx on public.active_viewers (viewer_id, activated_at);
alter table public.active_viewers enable row level security;
revoke all on public.active_viewers from public, anon, authenticated, service_role;
comment on table public.active_viewers is 'Who is really watching. A row counts while all four flags hold and it was heard within 60 s, on the newest few streams of its viewer.';
comment on column public.active_viewers.activated_at is 'Since when all four flags hold without a silence of 60 s; null while one is missing. Written by a trigger only.';

create table fleet.publish_marks (
    id bigint generated always as identity primary key,
    stream_id bigint not null,
    viewer_id uuid
);
comment on table fleet.publish_marks is 'What to look at in the next recompute of is_published: appended with each change that may matter, deleted by the recompute that looked.';
comment on column fleet.publish_marks.viewer_id is 'Whose other streams may be concerned too; null when the stream itself changed.';

create table fleet.publish_horizon (
    only_row boolean primary key default true,
    silent_until timestamptz,
    max_active_streams_per_viewer integer,
    everything_at timestamptz,
    constraint one_row check (only_row)
);
insert into fleet.publish_horizon default values;
comment on table fleet.publish_horizon is 'Up to where silence was already acted upon; its row lock makes recomputes take turns.';
comment on column fleet.publish_horizon.everything_at is 'When all streams were last looked at, marks or not: hourly, so that a mark that was never written heals.';
