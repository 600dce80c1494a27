-- What operators read of tables, columns and types, in plain sentences. Earlier migrations never change.
comment on schema invariants is
    'One view per file of db/invariants; each returns no row while the ledger and all that is derived from it are '
    'right.';
comment on table public.profiles is
    'One row per user, made with the auth.users row. Only fleet.post_ledger writes balances and totals.';
comment on column public.profiles.coin_balance is
    'Coins to spend: the sum of the account''s ledger entries. A negative balance is a debt, after coins that were '
    'spent already were taken back.';
comment on column public.profiles.earnings_balance is
    'Coins earned by gifts: the sum of the account''s ledger entries.';
comment on table public.live_streams is
    'One row per stream. is_published is derived from active_viewers and never set by hand.';
comment on column public.live_streams.live_available is
    'Whether the owner''s camera can be shown; the only column that the owner writes.';
comment on table public.active_viewers is
    'Who watches which stream. A row counts while all four flags hold and its last heartbeat is less than 60 s old, on '
    'the newest few streams of its viewer.';
comment on column public.active_viewers.activated_at is
    'Since when all four flags have held without a silence of 60 s; null while one is missing. Only a trigger writes '
    'it.';
comment on table fleet.publish_marks is
    'Streams and viewers that the next recompute of is_published has to look at: each change that may matter adds a '
    'row, and the recompute deletes what it has looked at.';
comment on column fleet.publish_marks.viewer_id is
    'The viewer whose other streams may be concerned too; null if the stream itself changed.';
comment on table fleet.publish_horizon is
    'The time up to which viewers'' silence has been counted. A lock on its row makes recomputes run one after the '
    'other.';
comment on column fleet.publish_horizon.everything_at is
    'When all streams were last looked at, marked or not: every hour, in case a mark was never written.';
comment on table public.gift_types is
    'What a gift costs, and which part of it the streamer gets, in basis points.';
comment on table public.coin_packages is
    'The price list: the coins of one unit, and its price in minor units. A paid event is honoured for an inactive '
    'package too.';
comment on table public.coin_purchases is
    'One row per payment. The status is derived: pending until granted; refunded or chargeback when all of it was '
    'reversed.';
comment on column public.coin_purchases.payment_id is
    'The payment_id of fleet.payment_keys, which has all names that the provider uses for this payment.';
comment on column public.coin_purchases.refunded_coins is
    'Coins taken back so far. It also goes down, when a refund fails or a dispute is won.';
comment on column public.coin_purchases.purchased_at is
    'The provider''s time; velocity is counted by it.';
comment on table public.gifts is
    'One row per accepted gift, with the streamer''s and the platform''s share.';
comment on table public.ledger_entries is
    'The source of truth: append-only double entry. The entries of a transaction sum to zero.';
comment on column public.ledger_entries.xact_id is
    'The database transaction that wrote the entry; the continuous proof goes by it.';
comment on table fleet.payment_keys is
    'Every name that a provider uses for a payment (intent, charge, transaction, token, order). The keys are locked in '
    'order before anything about the payment is decided.';
comment on table fleet.payments is
    'What is known of a payment besides its purchase; most payments need no row.';
comment on column fleet.payments.is_foreign is
    'True if its events have no metadata of ours: a payment of another product on the same provider account.';
comment on column fleet.payments.refund_total_minor is
    'The newest cumulative amount_refunded; of several in one second the largest.';
comment on table fleet.refunds is
    'One row per refund, with the furthest status seen, so that events in any order end the same.';
comment on table fleet.disputes is
    'One row per dispute, as its newest event tells it.';
comment on table fleet.dispute_transactions is
    'A dispute''s balance transactions in the settlement currency: withdrawals negative, reinstatements positive. Only '
    'their ratio counts.';
comment on table fleet.provider_calls is
    'The outbox: calls to a provider, written by the transaction that decides and made outside of any transaction.';
comment on column fleet.inbox_events.starts is
    'How many workers died with this event in their batch. An event with such a death is claimed alone.';
comment on column fleet.inbox_events.payment_id is
    'The payment of an event that waits or is held, by which its other half finds it.';
comment on table fleet.event_tallies is
    'How many events are in each state, as changes: each statement appends its own, housekeeping adds them up. So '
    'counting does not get slower as history grows.';
comment on table fleet.batch_starts is
    'A batch that a worker has begun, committed before the batch itself. A row whose transaction has ended shows that '
    'the worker died.';
comment on type fleet.fact is
    'What interpretation says of one event. kind: purchase, gift, refund, refund_total, dispute, names or verdict; '
    'event_id is null in a direct call. fleet.combine_halves sets hold_reason and told_whole.';
comment on type fleet.purchase_decision is
    'A purchase fact with its decision.';
comment on type fleet.gift_decision is
    'A gift fact with its price and shares; refusal is null if only the balance remains to be checked.';
comment on type fleet.posting is
    'One entry of a ledger transaction to be written. transaction_no counts from 1 in the call; gift_coins is the '
    'whole gift, on the streamer''s entry.';
comment on type fleet.outcome is
    'The outcome of one fact. retry_at is set for an event that stays open.';
comment on table fleet.ticks is
    'One row per run of a periodic job. tick = floor((epoch - offset) / cadence) by the database''s clock, so any '
    'number of schedulers opens it once.';
comment on column fleet.ticks.missed is
    'How many ticks before this one were never opened, because no scheduler fired or the run before took longer.';
comment on column fleet.ticks.claimable_at is
    'When a worker may claim it next. Each claim sets it a little ahead, so that no other worker comes between the '
    'claim and its row lock.';
comment on table fleet.schedules is
    'One row per job of the timetable, written each time a scheduler fires it.';
comment on table fleet.proofs is
    'What each proof of the ledger covered and found. new: ledger entries of transactions from from_xid up to, not '
    'including, upto_xid. full: every view of the schema invariants.';
comment on column fleet.proofs.detail is
    'The first violations of each check, ids and amounts only.';
comment on table fleet.worker_reports is
    'The report of each worker process, every 2 s: what it has applied since it started.';
comment on column fleet.worker_reports.apply_buckets is
    'Batches by duration; the bounds are APPLY_BUCKETS_MS of the worker''s code, and one bucket above.';
comment on table fleet.payload_horizon is
    'Up to which inbox event payloads were dropped, and older events whose payload was kept because they were still '
    'open.';
comment on table public.chat_messages is
    'The chat of a stream. A message is deleted with its stream and never edited.';
comment on column public.chat_messages.created_at is
    'When the database received it; no client sets it.';
comment on table public.user_links is
    'The links on a profile. The position is part of the key: an upsert of several positions reorders them in one '
    'statement.';
comment on table fleet.recent_gifts_horizon is
    'live_streams.recent_gift_coins is the sum of the stream''s gifts created after counted_from, which housekeeping '
    'moves to an hour ago each minute.';
comment on table fleet.stream_changes is
    'Changes of the counters on live_streams whose stream was locked, because nothing waits for a counter. The next '
    'recompute adds them.';
comment on column public.live_streams.active_viewer_count is
    'Viewers with all four flags, as of the last change in active_viewers; silent viewers are subtracted when the '
    'sweep removes them. Only triggers write it.';
comment on column public.live_streams.recent_gift_coins is
    'Coins of the gifts to this stream in the last hour, and up to a minute more; see fleet.recent_gifts_horizon. Only '
    'a trigger and housekeeping write it.';
comment on column public.live_streams.started_at is
    'When live_available was last switched on.';
comment on table public.leaderboard_cache is
    'The first hundred by coins given (top_gifters) or received (top_streamers): of the running day, of the week from '
    'Monday and of the month in UTC, and of all time. Readers see one refresh or the next, never a mixture.';
comment on column public.leaderboard_cache.refreshed_at is
    'When a refresh last wrote this line; a line that is right already is not written.';
comment on table fleet.leaderboard_sums is
    'Coins of each profile in each period; all gifts below fleet.leaderboard_horizon are counted once. Periods that '
    'ended are removed.';
comment on table fleet.leaderboard_horizon is
    'Gifts of transactions below upto_xid are counted; with null the next refresh counts all gifts again. A lock on '
    'its row makes refreshes run one after the other.';
comment on table fleet.erasures is
    'One row per erasure. A repeated erasure that found nothing more to clear adds none.';
comment on table public.fx_rates is
    'US dollars per unit of a currency (1 EUR = 1.08 USD is 1.08), one row per rate and time; the newest rate of at '
    'most 7 days counts. US dollars need none.';
comment on column fleet.payments.uncaptured_minor is
    'amount - amount_captured of the charge: authorised and never captured, so no refund, though Stripe counts it as '
    'one.';
comment on column fleet.payments.held_minor is
    'What was paid, in held_currency, by a payment whose event is held without a purchase, for example because the '
    'buyer is unknown.';
comment on column fleet.payments.held_event_id is
    'The inbox event that told held_minor; held_reason is why it is held.';
comment on column fleet.refunds.undone_at is
    'The earliest time at which an event told that it failed or was canceled; null if none did, or from before times '
    'were stored.';
comment on column fleet.disputes.currency is
    'The currency of amount_minor; null means the payment''s.';
comment on column fleet.disputes.payment_rate is
    'Minor units of the payment''s currency per minor unit of the dispute''s: the first rate that was known, kept from '
    'then on.';
comment on column fleet.payments.charge_minor is
    'What the provider''s charge captured, in charge_currency, as its refunds tell it. Refunds are divided by it if '
    'the purchase was recorded in another currency.';
comment on table fleet.payment_halves is
    'What each event told of a payment of which nothing was granted then: buyer, product and quantity may be in '
    'different events. One row per event, so that order and repetition change nothing about what they say together.';
comment on column fleet.payment_halves.profile_id is
    'The buyer that the event named. No foreign key, because that profile may not exist, or not yet.';
comment on column fleet.payment_halves.by_reference is
    'The buyer was named by client_reference_id; a profile_id of another half has priority.';
comment on column fleet.payment_halves.deductions_minor is
    'What may be subtracted from the total before it is compared with the price: shipping; shipping and tax.';
comment on column fleet.payment_halves.told_by is
    'Which of the provider''s objects told it. A price that does not match waits for the session.';
comment on table fleet.joined_purchases is
    'Purchases that turned out to be of one payment, all of them, under the payment that has its names. Refunds and '
    'disputes of that payment are settled with each in the same ratio.';
comment on column fleet.joined_purchases.joined_by is
    'The event that named the payment by names of both purchases.';
comment on column fleet.joined_purchases.is_taken_back is
    'A person decided that all coins of this purchase are taken back, whatever is refunded.';
comment on table fleet.set_aside_events is
    'Pending events that failed alone for a passing cause. With setbacks they failed while others succeeded: such an '
    'event is claimed alone, after pauses that double.';
comment on column fleet.set_aside_events.setbacks is
    'How often it failed while others succeeded. 0 while everything fails: then it is claimed together with the '
    'others.';
comment on column fleet.set_aside_events.sqlstate is
    'The SQLSTATE of its last failure; null if that came from no server.';
comment on column fleet.batch_starts.is_ahead is
    'The row was committed before the claim, because the worker has only one session: xact_id is that commit''s, and '
    'shows nothing. The worker at work on the batch holds a lock on this row.';
comment on column fleet.worker_reports.events is
    'Events applied; a worker of an older release counts those that it claimed.';
comment on column fleet.worker_reports.detail is
    'Events by outcome, failed attempts by error, the histogram of the time from receipt to application, and the '
    'newest problem; see db/health/workers.py.';
comment on table fleet.web_reports is
    'The report of each web process, every 10 s: what it refused lately, and its newest problem.';
comment on column fleet.web_reports.detail is
    'See db/health/webs.py.';
comment on column fleet.recent_gifts_horizon.recounts is
    'How many more times the counters are compared with the gifts, to find gifts that were being written when the '
    'horizon went back.';
comment on column fleet.recent_gifts_horizon.ahead_from is
    'Gifts created after this, up to gift ahead_upto_id, were dated by a clock that was ahead: they do not count as '
    'recent when that time comes.';
comment on column fleet.leaderboard_horizon.cluster_id is
    'The system identifier of the cluster that upto_xid belongs to; in another cluster all gifts are counted again.';
comment on column fleet.leaderboard_horizon.counted_on is
    'The day of the last refresh. If today is earlier, the clock was ahead and sums of periods that still run were '
    'removed: all gifts are counted again.';
comment on column fleet.leaderboard_horizon.foreign_from_xid is
    'Entries up to foreign_upto_entry_id with this transaction id or a later one are another cluster''s. They were '
    'counted before this cluster reached their ids, and are not counted again when it does.';
comment on column fleet.leaderboard_horizon.complete_until is
    'Each gift created before this is counted. It moves to mark_at once every transaction below mark_xid has ended and '
    'is counted.';
comment on table fleet.proof_horizon is
    'The cluster that the newest upto_xid of fleet.proofs belongs to, by its system identifier: after a restore into '
    'another cluster everything is proved again.';
comment on column fleet.schema_objects.items is
    'What the catalog held of the file when a release ended, by fleet.catalog_items, with a table''s columns, '
    'constraints and indexes; null before the first release that recorded it.';
comment on table fleet.schema_migrations is
    'Each migration that was applied, with the checksum of its text; a row never changes.';
comment on table fleet.schema_objects is
    'Each repeatable file (shim, login, function, legacy, view, invariant, policy) with the checksum of the text that '
    'was applied last.';
comment on schema fleet is
    'What the fleet keeps for itself: inbox, payment keys, ticks, the release''s records. No API role may look inside.';
comment on table fleet.hold_judgements is
    'How often a held event was judged again, and when last. The pause doubles up to a day, so that an event that '
    'stays held does not delay others.';
comment on column public.coin_packages.listed_at is
    'Since when the package is in the price list: purchases that were held because it was missing are judged again '
    'within minutes.';
comment on column public.active_viewers.tabs is
    'The newest 8 tabs that sent a heartbeat on this stream: {"<tab>": [when, in seconds since 1970, whether all four '
    'flags held]}. The name "" stands for a client that names no tab. Null if no tab was named. Only heartbeats write '
    'it.';
comment on column public.gifts.provider_event_id is
    'The event that sent the gift: an app''s event id, or "client:<sender>:<key>" of a direct call. Everybody can read '
    'it, like the whole row, so a client''s key should be a random id that tells nothing.';
comment on column fleet.payments.total_minor is
    'The whole total of a payment, in total_currency, as its intent, or else its session, tells it; stored for '
    'payments that a direct call recorded, or of which nothing is granted yet. Refunds of a direct call''s purchase '
    'are divided by it, unless the charge has told what it captured.';
