-- web: store what came in, and say how the fleet is.
-- Rights on functions only, one line each, by file name; no right on any table of money.
grant usage on schema fleet to coinfleet_web;

-- /readyz and start-up checks: is the schema the one this code was written for?
grant select on fleet.schema_migrations, fleet.schema_objects to coinfleet_web;

-- Functions. What isn't listed any more is taken back, in the same transaction.
select fleet.revoke_functions('coinfleet_web');
grant execute on function fleet.store_events(text[], text[], text[], bytea[], bytea[], text[], text[]) to coinfleet_web;
grant execute on function fleet.event_counts() to coinfleet_web;
grant execute on function fleet.vital_signs() to coinfleet_web;
grant execute on function fleet.report_web(text, double precision, jsonb) to coinfleet_web;
