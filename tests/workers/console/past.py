"""A database with a long past: so many rows in each table that grows, of which few are open.

Payment n has event n, purchase n and entry n; of each thousand some are held, dead, disputed,
frozen or asked about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connections.pool import open_connection
from schedules.timetable import TIMETABLE

if TYPE_CHECKING:
    from tests.clusters import Database

# What grows with the years. The other tables hold settings, or what runs now.
GROWING = frozenset(
    {
        "adjustments",
        "coin_purchases",
        "console_sessions",
        "decisions",
        "disputes",
        "erasures",
        "found_events",
        "freezes",
        "gifts",
        "hold_judgements",
        "inbox_events",
        "joined_purchases",
        "ledger_entries",
        "live_streams",
        "operator_actions",
        "payment_halves",
        "payment_keys",
        "payments",
        "profiles",
        "provider_calls",
        "publish_changes",
        "refused_sign_ins",
        "refunds",
        "replay_trials",
        "store_inquiries",
        "store_payments",
        "ticks",
    }
)
# Of half of it all, and of one in a thousand.
BUYER = "00000000-0000-4000-8000-000000000001"
RARE_BUYER = "00000000-0000-4000-8000-000000000009"
# Of each thousand payments the one with this number is held without a purchase, dead, held with a
# purchase, disputed, frozen, asked about by Google.
UNOWNED, DEAD, HELD, DISPUTED, FROZEN, ASKED = 1, 2, 5, 20, 30, 51
_JOBS = ", ".join(f"'{schedule.name}'" for schedule in TIMETABLE)

_PAST = f"""
set session_replication_role = replica;
create temporary table old as
select
    n, n % 1000 as k, now() - ({{rows}} - n) * interval '1 s' as at,
    case when n % 100 = 51 then 'google' else 'stripe' end as provider,
    case
        when n % 2 = 0 then '{BUYER}'
        else '00000000-0000-4000-8000-' || lpad(to_hex(2 + n % 1000), 12, '0')
    end::uuid as buyer
from generate_series(1, {{rows}}) as n;
insert into auth.users (id) select distinct buyer from old;
insert into public.profiles (id, coin_balance, coin_seq)
select distinct buyer, 100, {{rows}} from old;
insert into fleet.inbox_events (
    provider, provider_event_id, event_type, payload, payload_sha256, state, reason, received_at,
    processed_at, payment_id
)
select
    provider, 'evt_' || n, case when k = {DISPUTED} then 'charge.dispute.created' else 'paid' end,
    '{{{{}}}}', '',
    case k
        when {UNOWNED} then 'held' when {HELD} then 'held' when {DEAD} then 'dead'
        when 3 then 'pending' when 4 then 'waiting' else 'applied'
    end,
    case k
        when {UNOWNED} then 'unknown_buyer' when {HELD} then 'needs_approval'
        when {DEAD} then 'failed' when 4 then 'no_purchase_yet'
    end,
    at, case when k not in ({UNOWNED}, {HELD}, 3, 4) then at end, n
from old order by n;
insert into fleet.event_tallies (provider, state, delta)
select provider, state, count(*) from fleet.inbox_events group by provider, state;
insert into public.coin_purchases (
    id, payment_id, profile_id, provider, provider_event_id, provider_payment_id, sku, coin_amount,
    amount_minor, currency, usd_amount, status, hold_reason, refunded_coins, purchased_at,
    created_at, granted_at
)
select
    n, n, buyer, provider, 'evt_' || n, 'pi_' || n, 'coins_100', 100, 100, 'usd', 1,
    case when k = {HELD} then 'pending' when n % 50 = 12 then 'refunded' else 'confirmed' end,
    case when k = {HELD} then 'needs_approval' end, case when n % 50 = 12 then 100 else 0 end,
    at, at, case when k <> {HELD} then at end
from old where k not in ({UNOWNED}, 4) order by n;
insert into fleet.payment_keys (provider, key, payment_id) select provider, 'pi_' || n, n from old;
insert into fleet.payments (id, held_minor, held_currency)
select n, case when k = {UNOWNED} then 100 end, case when k = {UNOWNED} then 'usd' end
from old where n % 10 = 1;
insert into fleet.payment_halves (provider, provider_event_id, payment_id, profile_id, told_by)
select provider, 'evt_' || n, n, case when k <> {UNOWNED} then buyer end, 'intent' from old;
insert into fleet.refunds (provider, refund_id, payment_id, amount_minor, status)
select provider, 're_' || n, n, 100, 'succeeded' from old;
insert into fleet.disputes (
    provider, dispute_id, payment_id, amount_minor, told_at, status, currency, due_at
)
select
    provider, 'dp_' || n, n, 100, at,
    case when k = {DISPUTED} then 'needs_response' when k = 21 then 'under_review' else 'lost' end,
    'usd', case when n % 3 > 0 then now() + n * interval '1 s' end
from old;
insert into fleet.freezes (
    provider, source, source_id, payment_id, opened_at, told_at, is_open, released_at, released_by
)
select
    'stripe', 'review', 'prv_' || n, n, at, at, k = {FROZEN},
    case when k <> {FROZEN} then at end, case when k <> {FROZEN} then 'review' end
from old;
insert into fleet.frozen_purchases (purchase_id, profile_id)
select n, buyer from old where k = {FROZEN};
insert into fleet.joined_purchases (purchase_id, payment_id) select n, n from old where k = 40;
insert into fleet.store_payments (
    payment_id, provider, store_app, provider_payment_id, profile_id, told_at
)
select n, 'google', 'com.example.app', 'pi_' || n, buyer, at from old where n % 100 = 51;
insert into fleet.store_inquiries (
    provider, inquiry_id, event_id, store_app, asked_at, deadline, payment_key
)
select
    'google', 'question ' || n, e.id, 'com.example.app', at,
    case when k = {ASKED} then now() + interval '1 day' else at + interval '1 second' end,
    'pi_' || n
from old
join fleet.inbox_events as e on e.provider = 'google' and e.provider_event_id = 'evt_' || n;
insert into public.ledger_entries (
    transaction_id, leg, profile_id, account, amount, balance_after, seq, reason, idempotency_key,
    created_at, xact_id
)
select n, 0, buyer, 'coins', 1, n, n, 'purchase', 'purchase:stripe:pi_' || n, at, '3'
from old where k <> {HELD} order by n;
insert into fleet.adjustments (idempotency_key, profile_id, amount, who, reason, adjusted_at)
select 'purchase:stripe:pi_' || n, buyer, 1, 'ann', 'why', at from old;
insert into fleet.provider_calls (kind, key, state, next_attempt_at, created_at, event_id)
select
    case n % 3 when 0 then 'app.deliver' else 'stripe.refund' end, 'key_' || n,
    case k when 1 then 'dead' when 2 then 'pending' else 'done' end, now(), at, n
from old order by n;
insert into fleet.backfills (provider, is_scheduled, from_at, to_at, reached_at, worker, started_at)
values ('stripe', true, now(), now(), now(), 'w', now());
insert into fleet.found_events (
    event_id, backfill_id, provider, event_type, made_at, found_at, is_missed
)
select e.id, 1, e.provider, 'paid', e.received_at, e.received_at, e.id % 1000 = 0
from fleet.inbox_events as e;
insert into public.live_streams (id, profile_id, live_available, is_published)
select n, buyer, n % 3 = 0, n % 300 = 0 from old order by n;
insert into fleet.publish_changes (stream_id, is_published, changed_at)
select n % 500, n % 2 = 0, at from old order by n;
insert into fleet.schedules (job, cadence_s, offset_s)
select unnest(array[{_JOBS}]), 60, 0;
insert into fleet.ticks (job, tick, enqueued_at, started_at, finished_at, outcome)
select (array[{_JOBS}])[1 + n % cardinality(array[{_JOBS}])], n, at, at, at, 'done' from old;
insert into fleet.operator_actions (action, typed_by, reason, event_ids, call_ids, acted_at)
select 'replay', 'ann', 'why', array[n], array[n], at from old order by n;
insert into fleet.decisions (
    purchase_id, verb, outcome, who, reason, hold_reason, coins, decided_at
)
select n, 'approve', 'granted', 'ann', 'why', 'over_limit', 1, at
from old where k <> {HELD} order by n;
insert into fleet.erasures (profile_id, requested_by, reason, counts, erased_at)
select gen_random_uuid(), 'ann', 'why', '{{{{}}}}', at from old order by n;
insert into fleet.console_people (subject, person) select 's' || n, 'p' || n from old where n <= 20;
insert into fleet.console_sessions (
    token_hash, subject, role, aal, reads_payloads, created_at, expires_at, revoked_at, revoked_by
)
select
    sha256(n::text::bytea), 's' || n % 20 + 1, 'viewer', 'aal1', false, at, at,
    case when n % 3 = 0 then at end, case when n % 3 = 0 then 'p' || n % 20 + 1 end
from old order by n;
insert into fleet.refused_sign_ins (refused_at, subject, cause)
select at, case when n % 2 = 0 then 's' || n % 20 + 1 end, 'credentials' from old order by n;
insert into fleet.replay_trials (event_ids, states, asked_by, asked_at, finished_at, last_error)
select array[n], array['dead'], 'ann', at, at, 'why' from old;
insert into public.gifts (
    provider_event_id, sender_id, recipient_id, gift_type, quantity, coin_amount, platform_revenue,
    streamer_revenue, stream_id, created_at
)
select 'gift_' || n, buyer, '00000000-0000-4000-8000-00000000ffff', 'rose', 1, 1, 0, 1, n, at
from old;
insert into fleet.hold_judgements (event_id, judged_at)
select e.id, now() from fleet.inbox_events as e where e.state = 'held';
reset session_replication_role;
"""


async def give_past(database: Database, *, rows: int) -> None:
    """Fill the tables."""
    connection = await open_connection(
        database.url("superuser"), application_name="test", statement_timeout="0"
    )
    try:
        for statement in _PAST.format(rows=rows).strip().split(";\n"):
            await connection.execute(statement, timeout=600)
        await connection.execute("vacuum analyze", timeout=600)
    finally:
        await connection.close()
