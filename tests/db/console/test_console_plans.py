"""Plans of the console's own questions: a page reads a bounded part of an index, at any size.

What it shares with `coinfleet status` and `explain` is proved where those are.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from db.connections.pool import open_connection
from db.console import disputes, payment_list, statement
from db.console.audit import PAGE_ROWS, part_queries
from db.console.event_list import bound_query, page_query
from db.health.disputes import DUE
from tests.db.console.histories import History, history_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clusters import Cluster, Database

STATES = (None, "pending", "held", "dead", "applied", "rejected")
# The rows of one state are read whole here; few are waiting at once.
BY_STATE = {"pending": "inbox_events_pending_idx", "held": "inbox_events_held_idx"}
BY_STATE |= {"dead": "inbox_events_dead_idx"}

BUYER = "00000000-0000-4000-8000-000000000001"
HISTORY = """
set session_replication_role = replica;
insert into fleet.inbox_events
    (provider, provider_event_id, event_type, payload_sha256, state, reason, received_at)
select 'stripe', 'old_' || n, 'test', '',
    case n % 500 when 1 then 'held' when 2 then 'dead' when 3 then 'pending' else 'applied' end,
    case when n % 500 in (1, 2) then 'why' end, now() - n * interval '1 s'
from generate_series({0}, 1, -1) n;
insert into fleet.operator_actions (action, typed_by, reason, event_ids, acted_at)
select 'replay', 'ann', 'why', array[n], now() - n * interval '1 s'
from generate_series({0}, 1, -1) n;
insert into fleet.decisions
    (purchase_id, verb, outcome, who, reason, hold_reason, coins, decided_at)
select n, 'approve', 'granted', 'ann', 'why', 'over_limit', 1, now() - n * interval '1 s'
from generate_series({0}, 1, -1) n;
insert into fleet.adjustments (idempotency_key, profile_id, amount, who, reason, adjusted_at)
select 'key ' || n, gen_random_uuid(), n, 'ann', 'why', now() - n * interval '1 s'
from generate_series({0}, 1, -1) n;
insert into fleet.erasures (profile_id, requested_by, reason, counts, erased_at)
select gen_random_uuid(), 'ann', 'why', '{{}}', now() - n * interval '1 s'
from generate_series({0}, 1, -1) n;
insert into fleet.console_people (subject, person)
select 's' || n, 'p' || n from generate_series(1, 20) n;
insert into fleet.console_sessions
    (token_hash, subject, role, aal, reads_payloads, created_at, expires_at, revoked_at, revoked_by)
select sha256(n::text::bytea), 's' || n % 20 + 1, 'viewer', 'aal1', false,
    now() - n * interval '1 s', now(), now() - n * interval '1 s', 'p1'
from generate_series({0}, 1, -1) n;
insert into fleet.refused_sign_ins (refused_at, subject, cause)
select now() - n * interval '1 s', 's' || n % 20 + 1, 'code' from generate_series({0}, 1, -1) n;
-- Of purchases one in 500 is held and one in 50 went back; all are one buyer's, and so are entries.
insert into public.coin_purchases
    (payment_id, profile_id, provider, provider_event_id, provider_payment_id, coin_amount,
     amount_minor, currency, status, hold_reason, refunded_coins, purchased_at, granted_at)
select n, '{1}', 'stripe', 'evt_' || n, 'pi_' || n, 100, 100, 'usd',
    case when n % 500 = 1 then 'pending' when n % 50 = 2 then 'refunded' else 'confirmed' end,
    case when n % 500 = 1 then 'velocity' end, case when n % 50 = 2 then 100 else 0 end,
    now(), case when n % 500 <> 1 then now() end
from generate_series(1, {0}) n;
insert into public.ledger_entries
    (transaction_id, leg, profile_id, account, amount, balance_after, seq, reason,
     idempotency_key, created_at)
select n, 0, case when n % 2 = 0 then '{1}' else gen_random_uuid() end::uuid, 'coins', 1, n, n,
    'purchase', 'entry ' || n, now() - interval '1 d' + n * interval '1 ms'
from generate_series(1, {0}) n;
insert into fleet.disputes
    (provider, dispute_id, payment_id, amount_minor, told_at, status, currency, due_at)
select 'stripe', 'dp_' || n, n, 100, now(),
    case n % 100 when 1 then 'needs_response' when 2 then 'under_review' else 'lost' end, 'usd',
    case when n % 3 > 0 then now() + n * interval '1 s' end
from generate_series(1, {0}) n;
reset session_replication_role;
analyze;
"""


@pytest.fixture(scope="module", params=[100, pytest.param(100_000, marks=pytest.mark.long)])
def history(
    cluster: Cluster, template: Database, request: pytest.FixtureRequest
) -> Iterator[History]:
    """A database with so many rows in each table that the pages read."""
    sql = HISTORY.format(request.param, BUYER)
    with history_of(cluster, template, sql, request.param) as made:
        yield made


@pytest.mark.parametrize("state", STATES, ids=str)
async def test_a_list_of_events_reads_the_index_of_its_state_or_of_the_ids(
    history: History, state: str | None
) -> None:
    expected = {BY_STATE.get(state or "", "inbox_events_pkey")}
    values = (2**62, "stripe", "none", None, None, None, state)
    assert await history.used(page_query(state), *values) == expected
    assert await history.used(bound_query(state), 2**62) == expected


@pytest.mark.parametrize("part", range(len(part_queries())))
async def test_the_audit_log_reads_each_table_by_its_time(history: History, part: int) -> None:
    connection = await open_connection(history.database.url(), application_name="test")
    at = await connection.fetchval("select clock_timestamp() - interval '50 s'")
    connection.terminate()
    found = await history.used(part_queries()[part], at, "~", PAGE_ROWS + 1)
    by_time = {name for name in found if name and name.endswith("_at_idx")}
    assert len(by_time) == 1
    # A person's name is looked up by the subject, among few.
    assert found - by_time <= {"console_people_pkey", None}
    assert None not in found or part >= 4


# What a list of payments reads for each state.
BY_PAYMENT_STATE = {"held": "coin_purchases_undecided_idx"}
BY_PAYMENT_STATE |= dict.fromkeys(
    ("refunded", "chargeback", "reversed"), "coin_purchases_reversed_idx"
)


@pytest.mark.parametrize("state", [None, *payment_list.STATES], ids=str)
async def test_a_list_of_payments_reads_the_index_of_its_state_or_of_the_ids(
    history: History, state: payment_list.State | None
) -> None:
    expected = {BY_PAYMENT_STATE.get(state or "", "coin_purchases_pkey")}
    values = (2**62, "stripe", None, None, None, state)
    assert await history.used(payment_list.page_query(state), *values) == expected
    assert await history.used(payment_list.bound_query(state), 2**62) == expected


@pytest.mark.parametrize("place", [None, ("2030-01-01", "stripe", "dp_1")])
async def test_disputes_are_read_by_their_deadline_among_the_open_ones(
    history: History, place: tuple[str, str, str] | None
) -> None:
    values = (list(disputes.UNDER_REVIEW), False, *(place or (None, None, None)))
    found = await history.used(disputes.PAGE, *values)
    assert "disputes_open_idx" in found
    assert found == {"disputes_open_idx", *(each for each in found if "payment" in str(each))}


async def test_what_is_due_soon_is_read_by_its_deadline(history: History) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    found = await history.used(DUE, since, since + timedelta(days=3))
    assert found == {"disputes_open_idx"}


async def test_a_statement_reads_the_entries_of_its_account_by_their_numbers(
    history: History,
) -> None:
    account = (BUYER, "coins", 2**62)
    entries = "ledger_entries_profile_id_account_seq_idx"
    assert await history.used(statement.BOUND, *account) == {entries}
    found = await history.used(statement.PAGE, *account, "purchase", None, None, 51)
    assert found == {entries, "adjustments_pkey"}
