-- The scheduler opens ticks. It has rights to functions only, one line each, by file name; no right to any table of
-- money.
grant usage on schema fleet to coinfleet_scheduler;

-- For start-up checks: is the schema the one that this code was written for?
grant select on fleet.schema_migrations, fleet.schema_objects to coinfleet_scheduler;

-- Functions. What isn't listed any more is revoked, in the same transaction.
select fleet.revoke_functions('coinfleet_scheduler');
grant execute on function fleet.lacks_tables() to coinfleet_scheduler;
grant execute on function fleet.open_tick(text, integer, integer) to coinfleet_scheduler;
