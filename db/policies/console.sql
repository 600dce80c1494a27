-- console: people look at the fleet with it, and decide; it has verified who they are.
-- It reads columns, each named here, and not through functions: the questions of `coinfleet explain` and `status` are
-- then one text for both, and a column that is not named can't be read, whatever a page asks. Not named are payloads
-- (fleet.payload_of, which notes who reads), what providers answered, and of people all but the profile's id.
grant usage on schema fleet to coinfleet_console;

-- Is the schema the one this code was written for?
grant select on fleet.schema_migrations, fleet.schema_objects to coinfleet_console;

grant select (
    idempotency_key, profile_id, amount, who, reason, adjusted_at, origin
) on fleet.adjustments to coinfleet_console;
grant select (
    id, provider, is_scheduled, from_at, to_at, reached_at, found, missed, seen, attempts, worker, started_at,
    read_at, finished_at, failing_since, last_error, begins_at
) on fleet.backfills to coinfleet_console;
grant select (kind, reason, paused_at) on fleet.call_pauses to coinfleet_console;
grant select (subject, person, first_seen_at) on fleet.console_people to coinfleet_console;
grant select (
    id, subject, role, aal, reads_payloads, created_at, expires_at, last_seen_at, revoked_at, revoked_by, origin,
    ended_origin
) on fleet.console_sessions to coinfleet_console;
grant select (
    id, purchase_id, event_id, verb, outcome, who, reason, hold_reason, coins, profile_id, needs_second, decided_at,
    origin
) on fleet.decisions to coinfleet_console;
grant select (
    provider, dispute_id, payment_id, amount_minor, told_at, status, currency, payment_rate, due_at
) on fleet.disputes to coinfleet_console;
grant select (id, profile_id, requested_by, reason, erased_at, counts) on fleet.erasures to coinfleet_console;
grant select (
    event_id, backfill_id, provider, event_type, made_at, found_at, is_missed
) on fleet.found_events to coinfleet_console;
grant select (
    provider, source, source_id, payment_id, opened_at, told_at, is_open, released_at, released_by,
    is_released_by_person, release_reason
) on fleet.freezes to coinfleet_console;
grant select (purchase_id, profile_id) on fleet.frozen_purchases to coinfleet_console;
grant select (event_id, judgements, judged_at) on fleet.hold_judgements to coinfleet_console;
grant select (
    id, provider, provider_event_id, event_type, state, reason, attempts, starts, payment_id, received_at,
    next_attempt_at, processed_at, last_error, traceparent
) on fleet.inbox_events to coinfleet_console;
grant select (
    purchase_id, payment_id, joined_by, joined_at, is_taken_back, closed_at, closed_by, closed_reason
) on fleet.joined_purchases to coinfleet_console;
grant select (
    id, action, who, typed_by, client_address, reason, detail, event_ids, acted_at, call_ids, origin
) on fleet.operator_actions to coinfleet_console;
grant select (
    provider, provider_event_id, payment_id, profile_id, sku, quantity, currency, is_attributed
) on fleet.payment_halves to coinfleet_console;
grant select (provider, key, payment_id) on fleet.payment_keys to coinfleet_console;
grant select (
    id, is_foreign, refund_total_minor, refund_total_at, held_minor, held_currency, held_event_id, held_reason,
    charge_minor, charge_currency, total_minor, total_currency, rejection
) on fleet.payments to coinfleet_console;
grant select (
    id, kind, key, state, attempts, next_attempt_at, lease_until, created_at, provider, event_id, worker,
    first_attempt_at, finished_at, give_up_at, failures, last_error
) on fleet.provider_calls to coinfleet_console;
grant select (id, stream_id, is_published, changed_at) on fleet.publish_changes to coinfleet_console;
grant select (
    provider, refund_id, payment_id, amount_minor, status, created_at, undone_at
) on fleet.refunds to coinfleet_console;
grant select (id, refused_at, subject, cause, origin) on fleet.refused_sign_ins to coinfleet_console;
grant select (
    id, asked_by, asked_at, finished_at, outcome, last_error
) on fleet.replay_trials to coinfleet_console;
grant select (job, paused_at, paused_by, reason) on fleet.schedule_pauses to coinfleet_console;
grant select (job, cadence_s, offset_s, fired_at, missed_total, failed_total) on fleet.schedules to coinfleet_console;
grant select (hold_expires_days) on fleet.settings to coinfleet_console;
grant select (event_id, failing_since, setbacks, sqlstate) on fleet.set_aside_events to coinfleet_console;
grant select (
    id, provider, inquiry_id, event_id, payment_key, store_app, asked_at, deadline, reason, is_sandbox
) on fleet.store_inquiries to coinfleet_console;
grant select (
    payment_id, product_id, quantity, reversed_quantity, unit_coins
) on fleet.store_line_items to coinfleet_console;
grant select (
    payment_id, provider, store_app, provider_payment_id, profile_id, is_attributed_by_person, quantity, told_at,
    reversed_milli_percent, is_sandbox, is_acknowledged, is_consumed
) on fleet.store_payments to coinfleet_console;
grant select (payment_id, told_at, voided_quantity) on fleet.store_voids to coinfleet_console;
grant select (
    job, tick, missed, enqueued_at, started_at, finished_at, claimable_at, attempts, outcome, last_error, asked_at
) on fleet.ticks to coinfleet_console;
grant select (worker, started_at, reported_at, last_doorbell_at, detail) on fleet.worker_reports to coinfleet_console;

-- Row level security would hide all rows of these.
grant select (
    provider, sku, product_id, coin_amount, amount_minor, currency, active, listed_at
) on public.coin_packages to coinfleet_console;
grant select (
    id, payment_id, profile_id, provider, provider_event_id, provider_payment_id, sku, quantity, coin_amount,
    amount_minor, currency, usd_amount, status, requires_approval, hold_reason, decision, max_purchase_limit,
    refunded_coins, purchased_at, granted_at, created_at, refund_requested
) on public.coin_purchases to coinfleet_console;
grant select (currency, usd_per_unit, as_of) on public.fx_rates to coinfleet_console;
grant select (code, name, coin_cost, streamer_share_bps, active) on public.gift_types to coinfleet_console;
grant select (
    id, provider_event_id, sender_id, recipient_id, stream_id, gift_type, quantity, slot_index, coin_amount,
    platform_revenue, streamer_revenue, created_at
) on public.gifts to coinfleet_console;
grant select (
    id, transaction_id, leg, profile_id, account, amount, balance_after, seq, reason, idempotency_key, created_at
) on public.ledger_entries to coinfleet_console;
grant select (
    id, profile_id, live_available, is_published, active_viewer_count, recent_gift_coins, started_at, ended_at
) on public.live_streams to coinfleet_console;
grant select (
    id, coin_balance, earnings_balance, coin_seq, earnings_seq, total_purchased, total_spent, total_gifts_sent,
    total_gifts_received, follower_count, created_at
) on public.profiles to coinfleet_console;
drop policy if exists console_reads on public.coin_packages;
create policy console_reads on public.coin_packages for select to coinfleet_console using (true);
drop policy if exists console_reads on public.coin_purchases;
create policy console_reads on public.coin_purchases for select to coinfleet_console using (true);
drop policy if exists console_reads on public.fx_rates;
create policy console_reads on public.fx_rates for select to coinfleet_console using (true);
drop policy if exists console_reads on public.gift_types;
create policy console_reads on public.gift_types for select to coinfleet_console using (true);
drop policy if exists console_reads on public.gifts;
create policy console_reads on public.gifts for select to coinfleet_console using (true);
drop policy if exists console_reads on public.ledger_entries;
create policy console_reads on public.ledger_entries for select to coinfleet_console using (true);
drop policy if exists console_reads on public.live_streams;
create policy console_reads on public.live_streams for select to coinfleet_console using (true);
drop policy if exists console_reads on public.profiles;
create policy console_reads on public.profiles for select to coinfleet_console using (true);

-- Functions. What isn't listed any more is taken back, in the same transaction.
select fleet.revoke_functions('coinfleet_console');
grant execute on function fleet.adjust_balance(uuid, bigint, text, text, text) to coinfleet_console;
grant execute on function public.approve_coin_purchase(bigint, text, text, bigint) to coinfleet_console;
grant execute on function public.reject_coin_purchase(bigint, text, text, boolean) to coinfleet_console;
grant execute on function public.attribute_held_event(bigint, uuid, text, text) to coinfleet_console;
grant execute on function public.reject_held_event(bigint, text, text, boolean) to coinfleet_console;
grant execute on function public.release_coin_purchase(bigint, text, text, text) to coinfleet_console;
grant execute on function fleet.open_freezes(integer) to coinfleet_console;
grant execute on function fleet.held_purchases(integer) to coinfleet_console;
grant execute on function fleet.held_page(text, timestamptz, bigint, bigint, integer, bigint) to coinfleet_console;
grant execute on function fleet.purchase_for_decision(bigint) to coinfleet_console;
grant execute on function fleet.purchase_decisions(bigint) to coinfleet_console;
grant execute on function fleet.answer_key(text, text) to coinfleet_console;
grant execute on function fleet.backfill_statuses() to coinfleet_console;
grant execute on function fleet.calls_of_refund(text) to coinfleet_console;
grant execute on function fleet.catalog_differences() to coinfleet_console;
grant execute on function fleet.console_session(bytea) to coinfleet_console;
grant execute on function fleet.double_grants() to coinfleet_console;
grant execute on function fleet.end_console_session(bytea) to coinfleet_console;
grant execute on function fleet.event_counts() to coinfleet_console;
grant execute on function fleet.frozen_coins(uuid[]) to coinfleet_console;
grant execute on function fleet.has_payload(bigint) to coinfleet_console;
grant execute on function fleet.held_counts() to coinfleet_console;
grant execute on function fleet.lacks_tables() to coinfleet_console;
grant execute on function fleet.late_answers() to coinfleet_console;
grant execute on function fleet.late_confirmations(timestamptz) to coinfleet_console;
grant execute on function fleet.major_amount(numeric, text) to coinfleet_console;
grant execute on function fleet.minor_unit_exponent(text) to coinfleet_console;
grant execute on function fleet.note_refused_sign_in(text, text) to coinfleet_console;
grant execute on function fleet.open_console_session(bytea, text, text, text, text, boolean, integer, double precision) to coinfleet_console;
grant execute on function fleet.passing_failures(interval, integer) to coinfleet_console;
grant execute on function fleet.payload_of(bigint, text, text) to coinfleet_console;
grant execute on function fleet.proof_status() to coinfleet_console;
grant execute on function fleet.schedule_statuses() to coinfleet_console;
grant execute on function fleet.stale_rates(timestamptz) to coinfleet_console;
grant execute on function fleet.vital_signs() to coinfleet_console;
grant execute on function fleet.web_statuses() to coinfleet_console;
grant execute on function fleet.word_of_call(bigint, text) to coinfleet_console;
grant execute on function fleet.worker_statuses() to coinfleet_console;
grant execute on function fleet.open_inquiries() to coinfleet_console;
grant execute on function fleet.answer_inquiry(bigint, text, text, text, text) to coinfleet_console;
grant execute on function fleet.pause_schedule(text, text, text) to coinfleet_console;
grant execute on function fleet.resume_schedule(text, text, text) to coinfleet_console;
grant execute on function fleet.run_schedule(text, text, text) to coinfleet_console;
grant execute on function fleet.replay_events(bigint[], text[], text, text, jsonb) to coinfleet_console;
grant execute on function fleet.replay_calls(bigint[], text, text, jsonb) to coinfleet_console;
grant execute on function fleet.ask_trial(bigint[], text[], text) to coinfleet_console;
grant execute on function fleet.replay_deliveries(bigint[], text, text, jsonb) to coinfleet_console;
grant execute on function fleet.provider_call_counts() to coinfleet_console;
