-- scheduler: open ticks.
-- Rights on functions only, one line each, by file name; no right on any table of money.
grant usage on schema fleet to coinfleet_scheduler;

-- /readyz and start-up checks: is the schema the one this code was written for?
grant select on fleet.schema_migrations, fleet.schema_objects to coinfleet_scheduler;

-- Functions. What isn't listed any more is taken back, in the same transaction.
select fleet.revoke_functions('coinfleet_scheduler');
grant execute on function fleet.lacks_tables() to coinfleet_scheduler;
grant execute on function fleet.open_tick(text, integer, integer) to coinfleet_scheduler;
