-- console: it says who decides what is held, and has verified that.
-- Rights on functions only, one line each, by file name; no right on any table of money.
grant usage on schema fleet to coinfleet_console;

-- Is the schema the one this code was written for?
grant select on fleet.schema_migrations, fleet.schema_objects to coinfleet_console;

-- Functions. What isn't listed any more is taken back, in the same transaction.
select fleet.revoke_functions('coinfleet_console');
grant execute on function public.approve_coin_purchase(bigint, text, text, bigint) to coinfleet_console;
grant execute on function public.reject_coin_purchase(bigint, text, text, boolean) to coinfleet_console;
grant execute on function public.attribute_held_event(bigint, uuid, text, text) to coinfleet_console;
grant execute on function public.reject_held_event(bigint, text, text, boolean) to coinfleet_console;
grant execute on function public.release_coin_purchase(bigint, text, text, text) to coinfleet_console;
grant execute on function fleet.open_freezes(integer) to coinfleet_console;
grant execute on function fleet.held_purchases(integer) to coinfleet_console;
grant execute on function fleet.purchase_for_decision(bigint) to coinfleet_console;
grant execute on function fleet.purchase_decisions(bigint) to coinfleet_console;
grant execute on function fleet.open_inquiries() to coinfleet_console;
grant execute on function fleet.answer_inquiry(bigint, text, text, text, text) to coinfleet_console;
