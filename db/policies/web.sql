-- The web process stores arrivals and reports the state of the fleet. It has rights to functions only, one line each,
-- by file name; no right to any table of money.
grant usage on schema fleet to coinfleet_web;

-- For /readyz and start-up checks: is the schema the one that this code was written for?
grant select on fleet.schema_migrations, fleet.schema_objects to coinfleet_web;

-- Functions. What isn't listed any more is revoked, in the same transaction.
select fleet.revoke_functions('coinfleet_web');
grant execute on function fleet.store_events(text[], text[], text[], bytea[], bytea[], text[], text[]) to coinfleet_web;
grant execute on function fleet.store_traced_events(text[], text[], text[], bytea[], bytea[], text[], text[], text[]) to coinfleet_web;
grant execute on function fleet.event_counts() to coinfleet_web;
grant execute on function fleet.event_state(text, text) to coinfleet_web;
grant execute on function fleet.vital_signs() to coinfleet_web;
grant execute on function fleet.report_web(text, double precision, jsonb) to coinfleet_web;
