"""Each proof of the books can fail: for each invariant there is damage that it must find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from db.facts import Call, Question
from db.release.schema import Kind, expected
from tests.db.books import PRICE_LIST, Books, Payment, breaches, gift
from tests.db.stores.sales import PRICE_LIST as STORES_PRICE_LIST
from tests.db.stores.sales import Sale

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database

pytestmark = pytest.mark.requirement("C10")

LEDGER = "public.ledger_entries"


def told(event_type: str, said: str, *, refund_id: str = "re_stored") -> str:
    """Let an event have told this of the payment that has a refund, which is known by this id."""
    return (
        f"update fleet.refunds set refund_id = '{refund_id}' where payment_id in"
        " (select payment_id from public.coin_purchases);"
        f" update fleet.inbox_events as e set event_type = '{event_type}', payload = convert_to("
        f' \'{{"created": 1, "data": {{"object": {{"payment_intent": "\' || k.key'
        f" || '\", {said}}}}}}}', 'UTF8')"
        " from fleet.refunds as r join fleet.payment_keys as k on k.payment_id = r.payment_id"
        " where e.payment_id = r.payment_id and e.state = 'applied' and k.key like 'pi_%'"
        f" and r.refund_id = '{refund_id}'"
    )


HELD_PAYMENT = (
    "update fleet.payments as p set {} from fleet.inbox_events as e"
    " where e.payment_id = p.id and e.state = 'held' and p.held_minor is not null"
)
# For each invariant one way to break it, which only a superuser can do.
BREAKAGES = {
    "amounts_paid_are_as_told": (
        "update fleet.inbox_events as e set event_type = 'payment_intent.succeeded', payload ="
        ' convert_to(\'{"data": {"object": {"amount_received": 1, "currency": "usd"}}}\', \'UTF8\')'
        " from public.coin_purchases as cp where cp.provider_event_id = e.provider_event_id"
    ),
    "adjustments_are_in_the_ledger": "update fleet.adjustments set amount = amount + 1",
    "accounts_have_no_gaps": (
        f"update {LEDGER} set seq = seq + 1 where id = (select max(id) from {LEDGER}"
        " where account = 'coins')"
    ),
    "applied_gift_events_have_a_gift": (
        "update fleet.inbox_events set state = 'rejected', reason = 'self_gift'"
        " where state = 'applied'"
    ),
    "applied_purchase_events_have_a_purchase": (
        "update fleet.inbox_events set event_type = 'payment_intent.succeeded', state = 'applied',"
        " reason = null where state = 'held' and reason = 'unknown_buyer'"
    ),
    "balances_match_ledger": ("update public.profiles set earnings_balance = earnings_balance + 1"),
    "decisions_are_carried_out": (
        "update public.coin_purchases set decision = 'rejected' where status = 'pending'"
    ),
    "event_tallies_match_inbox": "update fleet.event_tallies set delta = delta + 1",
    "final_events_are_finished": "update fleet.inbox_events set processed_at = null",
    "follower_counts_match_follows": "delete from public.follows",
    "freezes_end_with_their_cause": "update fleet.freezes set is_open = false",
    "frozen_purchases_match_freezes": "delete from fleet.frozen_purchases",
    "gifts_match_ledger": (
        "update public.gifts set platform_revenue = platform_revenue - 1,"
        " streamer_revenue = streamer_revenue + 1"
    ),
    "held_events_are_not_refunded": (
        "update fleet.payments as p set held_minor = 40 from fleet.inbox_events as e"
        " where e.payment_id = p.id and e.state = 'held' and p.held_minor is not null"
    ),
    "held_purchases_have_a_held_event": (
        "update fleet.inbox_events set state = 'rejected' where state = 'held'"
    ),
    "holds_have_their_reason": (
        "update public.coin_packages set listed_at = now() - interval '1 hour';"
        " update public.coin_purchases set hold_reason = 'unknown_product'"
        " where hold_reason = 'needs_approval'"
    ),
    "leaderboard_sums_match_gifts": "update fleet.leaderboard_sums set coins = coins + 1",
    "google_hears_of_its_purchases": (
        "delete from fleet.provider_calls where kind = 'google.consume'"
    ),
    "ledger_has_no_orphans": "delete from public.gifts",
    "names_lead_to_one_grant": (
        "update fleet.payment_keys set payment_id = (select payment_id from public.coin_purchases"
        " where status = 'pending') where key like 'pi_%'; update public.coin_purchases"
        " set granted_at = now(), status = 'confirmed' where status = 'pending'"
    ),
    "open_events_have_no_purchase": (
        "update fleet.inbox_events set state = 'waiting' where state = 'applied'"
    ),
    "own_payments_are_not_ignored": (
        "insert into fleet.payment_halves (provider, provider_event_id, payment_id, sku)"
        " select 'stripe', 'evt_of_half', payment_id, 'coins_100' from fleet.inbox_events"
        " where state = 'held' and reason = 'unknown_buyer' on conflict do nothing;"
        " update fleet.inbox_events set event_type = 'payment_intent.succeeded',"
        " state = 'ignored', reason = 'not_ours' where state = 'held' and reason = 'unknown_buyer'"
    ),
    "payments_are_granted_once": (
        "insert into fleet.joined_purchases (purchase_id, payment_id, joined_by)"
        " select id, 0, 'evt' from public.coin_purchases;"
        " update public.coin_purchases set granted_at = now()"
    ),
    "payments_have_one_intent": (
        "insert into fleet.payment_keys (provider, key, payment_id)"
        " select 'stripe', 'pi_other', payment_id from fleet.payment_keys"
        " where key like 'pi_%' limit 1"
    ),
    "products_have_one_number_of_coins": (
        "update public.coin_packages set coin_amount = 99"
        " where provider = 'apple' and currency = 'eur'"
    ),
    "questions_have_their_call": "delete from fleet.provider_calls",
    "purchase_status_is_derived": (
        "update public.coin_purchases set status = 'chargeback' where status = 'confirmed'"
    ),
    "purchases_match_ledger": (f"update {LEDGER} set amount = amount * 2 where reason = 'refund'"),
    "recent_gift_coins_match_gifts": "update public.live_streams set recent_gift_coins = 1000",
    "answers_have_their_question": (
        "insert into fleet.provider_calls (kind, key) values"
        " ('google.review_refund', 'coinfleet:review:of_nothing')"
    ),
    "refund_calls_have_a_decision": (
        "insert into fleet.provider_calls (kind, key) values ('stripe.refund', 'by_nobody')"
    ),
    "reversals_have_a_payment": (
        "update public.coin_purchases set payment_id = -payment_id where refunded_coins > 0"
    ),
    "refunds_reach_their_purchase": (
        "update fleet.payment_keys set payment_id = 0 where payment_id in"
        " (select payment_id from fleet.refunds); update fleet.refunds set payment_id = 0"
    ),
    "reversals_meet_their_target": "update fleet.refunds set status = 'failed'",
    "sequences_match_ledger": "update public.profiles set coin_seq = coin_seq + 1",
    "sessions_are_granted_once": (
        "update public.coin_purchases set granted_at = now();"
        " update fleet.inbox_events as e set event_type = 'checkout.session.completed',"
        ' payload = convert_to(\'{"data": {"object": {"id": "cs_1", "payment_intent": "\' ||'
        " cp.provider_payment_id || '\"}}}', 'UTF8') from public.coin_purchases as cp"
        " where cp.provider_event_id = e.provider_event_id;"
        " update public.coin_purchases set provider_payment_id = 'cs_1' where id ="
        " (select min(id) from public.coin_purchases)"
    ),
    "store_purchases_have_their_buyer": (
        "update fleet.store_payments set profile_id = gen_random_uuid()"
    ),
    "store_reversals_meet_their_target": (
        "update fleet.store_payments set reversed_milli_percent = 50000 where provider = 'apple'"
    ),
    "told_states_have_their_delivery": (
        "delete from fleet.provider_calls where key like 'purchase-held-%';"
        " update public.coin_purchases set created_at = now()"
    ),
    "told_reversals_are_known": told("refund.updated", '"id": "re_unknown", "amount": 40'),
    "totals_match_ledger": (
        "update public.profiles set total_gifts_received = total_gifts_received + 1"
    ),
    "transactions_are_whole": f"update {LEDGER} set reason = 'other' where leg = 1",
    "transactions_sum_to_zero": f"update {LEDGER} set amount = amount - 1 where leg = 1",
    "viewer_counts_match_viewers": "delete from public.active_viewers",
    "waits_end": (
        "update fleet.inbox_events set state = 'waiting', next_attempt_at = 'infinity'"
        " where state = 'held'"
    ),
    "awaited_sessions_have_not_come": (
        "with come as (update fleet.payment_halves set told_by = 'session')"
        " update fleet.inbox_events set state = 'waiting', reason = 'no_session_yet'"
        " where state = 'held'"
    ),
}


@pytest_asyncio.fixture(scope="module")
async def superuser(cluster: Cluster, template: Database) -> AsyncIterator[Connection]:
    """Books in which everything happened once, and a superuser whose changes fire no trigger."""
    database = await cluster.create(template.name)
    owner = await open_connection(database.url(), application_name="tests")
    await owner.execute(PRICE_LIST)
    books = Books(owner)
    await books.db.execute("update fleet.settings set app_told_since = '2026-01-01'")
    buyer, streamer = await books.profiles(2)
    stream = await books.db.fetchval(
        "insert into public.live_streams (profile_id) values ($1) returning id", streamer
    )
    payment, large = Payment(), Payment()
    await books.apply(payment.bought(buyer), large.worth(buyer, 25_001), large.review())
    nobodys = Payment()
    await books.apply(nobodys.bought(None, buyer_unreadable=True), nobodys.refund(40))
    await books.apply(payment.refund(40), gift(buyer, streamer, 10, stream_id=stream))
    await books.apply(Question(call=Call(kind="stripe.fetch_object", key="fetch", request={})))
    await books.db.execute(STORES_PRICE_LIST)
    google = Sale("google").sold(buyer, units=2, back=1)
    await books.apply(Sale("apple").sold(buyer), google)
    await books.db.execute("insert into public.follows values ($1, $2)", buyer, streamer)
    await books.db.execute(
        "insert into public.active_viewers (stream_id, viewer_id, is_active, is_unmuted,"
        " is_visible, is_subscribed) values ($1, $2, true, true, true, true)",
        stream,
        buyer,
    )
    await books.db.execute("select fleet.refresh_leaderboard()")
    await books.db.execute("select fleet.adjust_balance($1, 5, 'me', 'why', 'key')", streamer)
    await owner.close()
    superuser = await open_connection(database.url("superuser"), application_name="tests")
    await superuser.execute("set session_replication_role = replica")
    for table in (LEDGER, "fleet.adjustments"):
        await superuser.execute(f"alter table {table} disable trigger all")
    yield superuser
    await superuser.close()
    await cluster.drop(database)


@pytest_asyncio.fixture
async def tampering(superuser: Connection) -> AsyncIterator[Connection]:
    """The superuser's session, whose damage is undone with the test."""
    assert await breaches(superuser) == {}
    transaction = superuser.transaction()
    await transaction.start()
    yield superuser
    await transaction.rollback()


def test_each_invariant_has_its_breakage() -> None:
    invariants = {file.name for file in expected() if file.kind is Kind.INVARIANT}
    assert BREAKAGES.keys() == invariants


@pytest.mark.requirement("E")
@pytest.mark.parametrize("invariant", BREAKAGES)
async def test_an_invariant_sees_what_it_is_for(tampering: Connection, invariant: str) -> None:
    assert await tampering.execute(BREAKAGES[invariant]) != "UPDATE 0"
    assert invariant in await breaches(tampering)


@pytest.mark.parametrize(
    ("breakage", "invariant"),
    [
        # Granted to another person than the purchase says.
        (
            (
                "update public.coin_purchases set profile_id = recipient_id"
                " from public.gifts where granted_at is not null"
            ),
            "purchases_match_ledger",
        ),
        # Taken from another person.
        (
            (
                f"update {LEDGER} set profile_id = (select recipient_id from public.gifts)"
                " where reason = 'refund' and account = 'coins'"
            ),
            "purchases_match_ledger",
        ),
        # An event reported it again, and nobody got anything for it.
        (
            (
                "update fleet.inbox_events set event_type = 'checkout.session.completed',"
                " state = 'applied', reason = 'duplicate_payment'"
                " where state = 'held' and reason = 'unknown_buyer'"
            ),
            "applied_purchase_events_have_a_purchase",
        ),
    ],
)
async def test_coins_granted_to_the_wrong_person_are_found(
    tampering: Connection, breakage: str, invariant: str
) -> None:
    assert await tampering.execute(breakage) != "UPDATE 0"
    assert invariant in await breaches(tampering)


@pytest.mark.parametrize(
    ("breakage", "invariant"),
    [
        # A total and a dispute that nothing is known of; refunds that are known otherwise.
        (
            told("charge.dispute.closed", '"id": "dp_unknown", "amount": 40, "status": "lost"'),
            "told_reversals_are_known",
        ),
        (
            told("charge.refunded", '"id": "ch_1", "amount_refunded": 40'),
            "told_reversals_are_known",
        ),
        (
            told("refund.updated", '"id": "re_stored", "amount": 41'),
            "told_reversals_are_known",
        ),
        (
            told("refund.failed", '"id": "re_stored", "amount": 40, "status": "failed"'),
            "told_reversals_are_known",
        ),
        # Held although a total or a dispute says that all of it went back.
        (
            HELD_PAYMENT.format("refund_total_minor = 100, refund_total_at = now()"),
            "held_events_are_not_refunded",
        ),
        (
            (
                "insert into fleet.disputes (provider, dispute_id, payment_id, amount_minor,"
                " status) select 'stripe', 'dp_2', payment_id, 60, 'lost' from fleet.inbox_events"
                " where state = 'held' and reason = 'unknown_buyer'"
            ),
            "held_events_are_not_refunded",
        ),
        # Closed although only a part went back, and rejected by nobody.
        (
            (
                "update fleet.inbox_events set state = 'applied', reason = 'refunded_while_held'"
                " where state = 'held' and reason = 'unknown_buyer'"
            ),
            "held_events_are_not_refunded",
        ),
        (
            (
                "update fleet.inbox_events set state = 'rejected', reason = 'by_decision'"
                " where state = 'held' and reason = 'unknown_buyer'"
            ),
            "decisions_are_carried_out",
        ),
        # All coins taken for want of a rate that has come since.
        (
            (
                "insert into fleet.disputes (provider, dispute_id, payment_id, amount_minor,"
                " status, currency) select 'stripe', 'dp_' || id, payment_id, 60, 'lost', 'sek'"
                " from public.coin_purchases; insert into public.fx_rates (currency, usd_per_unit,"
                " as_of) values ('sek', 0.1, now() - interval '2 hours'); update"
                " fleet.inbox_events set event_type = 'charge.dispute.closed',"
                " reason = 'no_fx_rate' where state = 'applied'"
            ),
            "holds_have_their_reason",
        ),
        # Housekeeping ran, and an event still waits.
        (
            (
                "insert into fleet.ticks (job, tick, finished_at, outcome)"
                " values ('housekeeping', 1, now(), 'done'); update fleet.inbox_events set"
                " state = 'waiting', next_attempt_at = now() - interval '1 hour'"
                " where state = 'held'"
            ),
            "waits_end",
        ),
        # A charge and its intent were granted, and the event that names both was not read.
        (
            (
                BREAKAGES["sessions_are_granted_once"]
                .replace("cs_1", "ch_1")
                .replace("checkout.session.completed", "charge.succeeded")
            ),
            "sessions_are_granted_once",
        ),
    ],
    ids=[
        "unknown dispute",
        "unknown total",
        "smaller refund",
        "failed refund",
        "held and refunded in total",
        "held and charged back",
        "closed and not refunded",
        "rejected by nobody",
        "disputed without a rate",
        "waits too long",
        "charge and intent",
    ],
)
async def test_money_that_went_wrong_with_the_facts_is_found(
    tampering: Connection, breakage: str, invariant: str
) -> None:
    assert await tampering.execute(breakage) != "UPDATE 0"
    assert invariant in await breaches(tampering)
