-- Presence: a stream is published while somebody watches it.
--
--     psql "$(.venv/bin/coinfleet database-url)" -Xaqf docs/examples/presence.sql
--
-- What it prints is kept in presence.out. It ends with rollback, so nothing stays in the database.
\set ON_ERROR_STOP on
\pset footer off
\set viewer 00000000-0000-4000-8000-0000000000a1
\set streamer 00000000-0000-4000-8000-0000000000b2
begin;
insert into auth.users (id) values (:'viewer'), (:'streamer');

-- The streamer's camera is available. Nobody watches yet, so the stream is not published.
insert into live_streams (profile_id, title, live_available)
values (:'streamer', 'Cooking', true)
returning id as stream, is_published
\gset
\echo :is_published

-- The viewer's client calls this every 10 to 15 seconds. The viewer is whoever is signed in.
-- The flags: active, unmuted, visible, subscribed. All four must hold for the viewer to count.
select set_config('request.jwt.claims', json_build_object('sub', :'viewer')::text, true) as claims;
select update_viewer_heartbeat(:stream, true, true, true, true);

-- A worker calls this every 10 seconds. It returns the streams that changed.
select is_published from update_publish_state_from_viewers() where stream_id = :stream;
select is_published, active_viewer_count from live_streams where id = :stream;

-- The viewer mutes the stream. Nobody counts now, so the stream is unpublished.
select update_viewer_heartbeat(:stream, true, false, true, true);
select is_published from update_publish_state_from_viewers() where stream_id = :stream;
select is_published, active_viewer_count from live_streams where id = :stream;

-- Unmuted again.
select update_viewer_heartbeat(:stream, true, true, true, true);
select is_published from update_publish_state_from_viewers() where stream_id = :stream;

-- 60 seconds without a heartbeat. The private function takes a time, so nobody has to wait here.
select is_published
from fleet.recompute_publish_state(clock_timestamp() + interval '60 seconds')
where stream_id = :stream;

rollback;
