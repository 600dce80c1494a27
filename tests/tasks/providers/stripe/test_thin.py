"""Thin events: the object that one names is fetched, stored, and then read as any other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from db.facts import Dispute, Purchase, Question, Verdict
from db.inbox.arrivals import Arrival, store_arrivals
from db.inbox.batches import ClaimedEvent
from db.outbox.provider_calls import CallId, ProviderCall
from tasks.payment_events import process_payment_events
from tasks.provider_calls import make_provider_calls
from tasks.providers.calls import CallRefused, ProviderUnreachable
from tasks.providers.stripe import Stripe
from tasks.providers.stripe.api import StripeApi
from tasks.providers.stripe.calls import fetch_object
from tests.db.books import PRICE_LIST, SKU
from tests.db.books import breaches as find_breaches
from tests.tasks.contexts import make_context
from tests.tasks.providers.stripe.events import BUYER, MALFORMED
from workers.mock_providers.stripe import KEY, StripeServer

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from db.facts import Fact
    from workers.mock_providers.stripe import Fault

PATH = "/v1/payment_intents/pi_thin"
CREATED = "2026-11-20T10:00:00.000Z"
FETCHED_AT = 1_795_000_000
INTENT = {
    "id": "pi_thin",
    "object": "payment_intent",
    "status": "succeeded",
    "amount_received": 100,
    "currency": "usd",
    "latest_charge": "ch_thin",
    "metadata": {"profile_id": str(BUYER), "sku": SKU},
}
DISPUTE = {
    "id": "dp_thin",
    "object": "dispute",
    "amount": 100,
    "status": "lost",
    "payment_intent": "pi_thin",
}


def thin(event_type: str = "v1.payment_intent.succeeded", **changes: Any) -> dict[str, Any]:
    """A thin event as Stripe sends it."""
    event = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": event_type,
        "livemode": False,
        "created": CREATED,
        "related_object": {"id": "pi_thin", "type": "payment_intent", "url": PATH},
    }
    return event | changes


def interpret(
    event: dict[str, Any], fetched: object = None, *, accounts: tuple[str, ...] = ()
) -> Fact:
    """What the event means, with or without its answer."""
    answer = {"object": fetched, "fetched_at": FETCHED_AT}
    claimed = ClaimedEvent(
        id=1,  # type: ignore[arg-type]
        provider="stripe",
        provider_event_id="evt_thin",
        event_type=event["type"],
        payload=json.dumps(event).encode(),
        received_at=datetime(2026, 11, 20, 10, 1, tzinfo=UTC),
        attempts=0,
        answer=None if fetched is None else json.dumps(answer).encode(),
    )
    return Stripe(accounts=accounts).interpret(claimed)


def test_a_thin_event_asks_for_the_object_that_it_names() -> None:
    fact = interpret(thin())
    assert isinstance(fact, Question)
    assert fact.call.kind == "stripe.fetch_object"
    assert fact.call.key == "coinfleet:fetch:evt_thin"
    assert fact.call.request == {"path": PATH, "context": None}


def test_a_thin_event_of_a_listed_account_asks_in_its_context() -> None:
    fact = interpret(thin(context="acct_ours"), accounts=("acct_ours",))
    assert isinstance(fact, Question)
    assert fact.call.request["context"] == "acct_ours"


def test_a_thin_event_of_another_account_asks_nothing() -> None:
    fact = interpret(thin(context="acct_theirs"))
    assert isinstance(fact, Verdict)
    assert (fact.state, fact.reason) == ("rejected", "account_mismatch")


def test_a_payment_that_was_fetched_was_made_when_the_event_says() -> None:
    fact = interpret(thin(), INTENT)
    assert isinstance(fact, Purchase)
    assert (fact.payment_keys, fact.amount_minor) == (["pi_thin", "ch_thin"], 100)
    assert fact.purchased_at == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_a_delayed_payment_that_was_fetched_was_made_when_the_event_says() -> None:
    session = {
        "id": "cs_thin",
        "mode": "payment",
        "payment_status": "paid",
        "amount_total": 100,
        "currency": "usd",
        "payment_intent": "pi_thin",
        "metadata": INTENT["metadata"],
    }
    fact = interpret(thin("v1.checkout.session.async_payment_succeeded"), session)
    assert isinstance(fact, Purchase)
    assert fact.purchased_at == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_a_dispute_that_was_fetched_is_as_it_was_then() -> None:
    fact = interpret(thin("v1.charge.dispute.created"), DISPUTE)
    assert isinstance(fact, Dispute)
    assert (fact.status, fact.told_at) == ("lost", datetime.fromtimestamp(FETCHED_AT, UTC))


@pytest.mark.parametrize("event_type", ["v2.core.account.updated", "v1.customer.created", "v1."])
def test_a_thin_event_that_means_nothing_to_us_is_ignored_and_asks_nothing(
    event_type: str,
) -> None:
    assert interpret(thin(event_type)) == Verdict(state="ignored", reason="thin_event")


@pytest.mark.parametrize(
    "related",
    [
        None,
        {"url": "https://example.com/v1/payment_intents/pi_thin"},
        {"url": "//example.com/v1/payment_intents/pi_thin"},
        {"url": "/v1/../v2/pi_thin"},
        {"url": "/v1/payment_intents/pi_thin?expand=customer"},
        {"url": "/v1/payment_intents/pi_thin\n"},
        {"url": 7},
        {},
    ],
)
def test_a_thin_event_whose_object_has_no_path_of_the_api_is_malformed(related: object) -> None:
    assert interpret(thin(related_object=related)) == MALFORMED


@pytest.mark.parametrize("fetched", [{}, {"id": 7}, "text", [INTENT]])
def test_an_answer_that_is_not_the_object_is_malformed(fetched: object) -> None:
    assert interpret(thin(), fetched) == MALFORMED


def fetching(**request: object) -> ProviderCall:
    wanted = {"path": PATH, "context": None} | request
    return ProviderCall(CallId(1), "stripe.fetch_object", "key", wanted, 1, is_retry=False)


async def test_an_object_is_fetched_whole_in_its_context(stripe: StripeServer) -> None:
    # PostgreSQL stores no NUL.
    stripe.objects[PATH] = INTENT | {"description": "a\0b", "charges": [{"n\0": 1.5}]}
    api = StripeApi(key=KEY, base=stripe.base)
    answer = await fetch_object(api, fetching(context="acct_ours"))
    await api.close()
    assert answer["object"] == INTENT | {"description": "ab", "charges": [{"n": 1.5}]}
    assert stripe.contexts == ["acct_ours"]


@pytest.mark.parametrize("fault", ["empty", "malformed"])
async def test_an_answer_that_says_nothing_is_asked_for_again(
    stripe: StripeServer, fault: Fault
) -> None:
    stripe.faults = [fault]
    api = StripeApi(key=KEY, base=stripe.base)
    with pytest.raises(ProviderUnreachable):
        await fetch_object(api, fetching())
    await api.close()


async def test_an_object_that_is_not_there_needs_a_person(stripe: StripeServer) -> None:
    api = StripeApi(key=KEY, base=stripe.base)
    with pytest.raises(CallRefused, match="404 resource_missing"):
        await fetch_object(api, fetching())
    with pytest.raises(CallRefused):
        await fetch_object(api, fetching(path="https://example.com/"))
    await api.close()


@pytest.fixture
def provider(stripe: StripeServer) -> Stripe:
    """Stripe, with a key."""
    return Stripe(api_key=KEY, api_base=stripe.base)


async def store(web_pool: Pool, event: dict[str, Any]) -> None:
    """The event comes in."""
    body = json.dumps(event).encode()
    await store_arrivals(
        web_pool,
        [
            Arrival(
                provider="stripe",
                provider_event_id=event["id"],
                event_type=event["type"],
                payload=body,
                payload_sha256=b"0" * 32,
            )
        ],
    )


async def state(db: Connection) -> tuple[str, str | None]:
    """What became of the event."""
    row = await db.fetchrow("select state, reason from fleet.inbox_events")
    assert row is not None
    return row["state"], row["reason"]


async def test_a_payment_that_only_a_thin_event_tells_is_granted_once(
    worker_pool: Pool, web_pool: Pool, db: Connection, stripe: StripeServer, provider: Stripe
) -> None:
    await db.execute(PRICE_LIST)
    await db.execute("insert into auth.users (id) values ($1)", BUYER)
    stripe.objects[PATH] = INTENT
    context = make_context(worker_pool, providers={"stripe": provider})
    await store(web_pool, thin())
    await process_payment_events(context)
    assert await state(db) == ("waiting", "no_answer_yet")
    assert await find_breaches(db) == {}

    stripe.faults = ["unavailable"]
    await make_provider_calls(context)
    assert await state(db) == ("waiting", "no_answer_yet")
    await db.execute("update fleet.provider_calls set next_attempt_at = now()")
    assert await make_provider_calls(context) == 1
    await process_payment_events(context)
    assert await state(db) == ("applied", None)
    assert await db.fetchval("select coin_balance from public.profiles") == 100

    # A person has it judged again: the answer is there, and nothing is asked twice.
    await db.execute("update fleet.inbox_events set state = 'pending'")
    await process_payment_events(context)
    assert await make_provider_calls(context) == 0
    assert await db.fetchval("select coin_balance from public.profiles") == 100
    assert await find_breaches(db) == {}
    await provider.close()


async def test_without_a_key_a_thin_event_waits_and_nothing_is_called(
    worker_pool: Pool, web_pool: Pool, db: Connection, stripe: StripeServer
) -> None:
    context = make_context(worker_pool, providers={"stripe": Stripe(api_base=stripe.base)})
    await store(web_pool, thin())
    await process_payment_events(context)
    assert await make_provider_calls(context) == 0
    assert await state(db) == ("waiting", "no_answer_yet")
    assert stripe.requests == []
