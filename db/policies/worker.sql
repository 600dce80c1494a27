-- A worker applies events, sweeps viewers and proves the ledger. It has rights to functions only, one line each, by
-- file name; no right to any table of money.
grant usage on schema fleet to coinfleet_worker;

-- The nightly proof reads every invariant, those of later releases too.
grant usage on schema invariants to coinfleet_worker;
grant select on all tables in schema invariants to coinfleet_worker;
alter default privileges in schema invariants grant select on tables to coinfleet_worker;

-- For start-up checks: is the schema the one that this code was written for?
grant select on fleet.schema_migrations, fleet.schema_objects to coinfleet_worker;

-- Functions. What isn't listed any more is revoked, in the same transaction.
select fleet.revoke_functions('coinfleet_worker');
-- An invariant reads what was told.
grant execute on function fleet.event_object(bytea) to coinfleet_worker;
grant execute on function fleet.lacks_tables() to coinfleet_worker;
grant execute on function fleet.claim_events(integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.note_batch_start(xid8, bigint[], text) to coinfleet_worker;
grant execute on function fleet.note_batch_ahead(integer, text, timestamptz) to coinfleet_worker;
grant execute on function fleet.claim_noted_events(xid8) to coinfleet_worker;
grant execute on function fleet.forget_batch_start(xid8, bigint[]) to coinfleet_worker;
grant execute on function fleet.apply_claimed_events(jsonb, timestamptz) to coinfleet_worker;
grant execute on function fleet.apply_events(jsonb, timestamptz) to coinfleet_worker;
grant execute on function fleet.fail_event(bigint, text, timestamptz) to coinfleet_worker;
grant execute on function fleet.set_event_aside(bigint, text, text, boolean, timestamptz) to coinfleet_worker;
grant execute on function fleet.answers_of_events(bigint[]) to coinfleet_worker;
grant execute on function fleet.traces_of_events(bigint[]) to coinfleet_worker;
grant execute on function fleet.claim_provider_calls(text, text[], integer, integer, integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.finish_provider_call(bigint, integer, jsonb, timestamptz) to coinfleet_worker;
grant execute on function fleet.fail_provider_call(bigint, integer, text, text, double precision, timestamptz) to coinfleet_worker;
grant execute on function fleet.begin_backfill(text, text, interval, interval, timestamptz, timestamptz) to coinfleet_worker;
grant execute on function fleet.store_found_events(bigint, integer, text[], text[], bytea[], bytea[], text[], text[], timestamptz[], text, timestamptz, timestamptz) to coinfleet_worker;
grant execute on function fleet.finish_backfill(bigint, integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.fail_backfill(bigint, integer, text, boolean, timestamptz) to coinfleet_worker;
grant execute on function fleet.known_orders(timestamptz, bigint, integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.late_confirmations(timestamptz) to coinfleet_worker;
grant execute on function fleet.pause_provider_calls(bigint, integer, text, timestamptz) to coinfleet_worker;
grant execute on function fleet.date_calls_anew(integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.drop_old_deliveries(integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.event_counts() to coinfleet_worker;
grant execute on function fleet.fold_event_tallies() to coinfleet_worker;
grant execute on function fleet.wake_waiting_events(integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.judge_holds_again(integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.expire_hold(timestamptz) to coinfleet_worker;
grant execute on function fleet.expire_freezes(integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.mend_freezes(integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.remind_of_holds(integer, timestamptz) to coinfleet_worker;
grant execute on function fleet.due_ticks(timestamptz) to coinfleet_worker;
grant execute on function fleet.claim_tick(text, bigint, timestamptz) to coinfleet_worker;
grant execute on function fleet.hold_tick(text, bigint, integer) to coinfleet_worker;
grant execute on function fleet.keep_tick(text, bigint, integer) to coinfleet_worker;
grant execute on function fleet.finish_tick(text, bigint, timestamptz) to coinfleet_worker;
grant execute on function fleet.fail_tick(text, bigint, integer, text, timestamptz) to coinfleet_worker;
grant execute on function fleet.interrupt_tick(text, bigint, integer, text, timestamptz) to coinfleet_worker;
grant execute on function fleet.report_worker(text, double precision, double precision, bigint, bigint, double precision, bigint[]) to coinfleet_worker;
grant execute on function fleet.report_work(text, double precision, double precision, jsonb) to coinfleet_worker;
grant execute on function fleet.event_failures(bigint[]) to coinfleet_worker;
grant execute on function public.update_publish_state_from_viewers() to coinfleet_worker;
grant execute on function public.cleanup_stale_viewers() to coinfleet_worker;
grant execute on function fleet.sweep_viewers(timestamptz, integer) to coinfleet_worker;
grant execute on function fleet.prove_new_entries(integer) to coinfleet_worker;
grant execute on function fleet.grants_of_other_accounts(text[]) to coinfleet_worker;
grant execute on function fleet.record_full_proof(timestamptz, xid8, bigint, jsonb) to coinfleet_worker;
grant execute on function fleet.drop_old_payloads(timestamptz, integer) to coinfleet_worker;
grant execute on function fleet.trim_history(timestamptz) to coinfleet_worker;
grant execute on function fleet.age_recent_gifts(timestamptz) to coinfleet_worker;
grant execute on function fleet.refresh_leaderboard(timestamptz, integer) to coinfleet_worker;
grant execute on function fleet.answer_due_inquiries(integer) to coinfleet_worker;
grant execute on function fleet.claim_trial() to coinfleet_worker;
grant execute on function fleet.begin_trial_batch(bigint, integer, integer) to coinfleet_worker;
grant execute on function fleet.trial_endings(bigint[]) to coinfleet_worker;
grant execute on function fleet.moved_coins() to coinfleet_worker;
grant execute on function fleet.finish_trial(bigint, jsonb, text) to coinfleet_worker;
