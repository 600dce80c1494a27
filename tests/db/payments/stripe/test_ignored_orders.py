"""Orders that a release before this one ignored, though their payloads say that they are ours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.db.books import APPLIED, COINS, NOON, PRICE_MINOR, SKU, Books, Outcome
from tests.db.payments.stripe.payloads import changed, interpreted
from workers.cli.simulate import stripe as made
from workers.cli.simulate.stripe import StripePayment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.db.payments.stripe.payloads import Event

PAID = StripePayment(key="1", amount_minor=PRICE_MINOR, created_s=int(NOON.timestamp()))
OURS = {"sku": SKU}
THEIRS = {"order": "17", "note": '"sku": "tea", "profile_id": "7"'}
SETUP = {"mode": "setup", "payment_status": "no_payment_required", "amount_total": None}
TRIAL = {"mode": "subscription", "payment_status": "no_payment_required", "amount_total": 0}
COMPLETED, ASYNC = "checkout.session.completed", "checkout.session.async_payment_succeeded"
FREE = {
    "mode": "payment",
    "payment_status": "no_payment_required",
    "amount_total": 0,
    "payment_intent": None,
}


def session(metadata: dict[str, str], event_type: str = COMPLETED, **fields: Any) -> Event:
    event = made.checkout_session_completed(replace(PAID, metadata=metadata))
    return changed(event, event_type, **fields)


def intent(metadata: dict[str, str]) -> Event:
    return made.payment_intent_succeeded(replace(PAID, metadata=metadata))


async def ignored(books: Books, event: Event, reason: str, payload: bytes | None = None) -> int:
    """Store an event as the release before left it; return its id in the inbox."""
    [event_id] = await books.receive(interpreted(event))
    await books.db.execute(
        "update fleet.inbox_events set state = 'ignored', reason = $2, event_type = $3,"
        " payload = $4, processed_at = received_at where id = $1",
        event_id,
        reason,
        event["type"],
        payload or msgspec.json.encode(event),
    )
    return event_id


async def replay(books: Books, event_id: int, event: Event) -> Outcome:
    """Have the event read again by this release, as `coinfleet replay` does."""
    await books.db.execute(
        "update fleet.inbox_events set state = 'pending', payload = $2 where id = $1",
        event_id,
        msgspec.json.encode(interpreted(event)),
    )
    return (await books.work())[event_id]


CASES: dict[str, tuple[Callable[[dict[str, str]], Event], str]] = {
    "free": (lambda ours: session(ours, **FREE), "unpaid"),
    "free and not ours": (lambda ours: session(ours, **FREE), "not_ours"),
    "paid": (session, "not_ours"),
    "paid later": (lambda ours: session(ours, ASYNC), "not_ours"),
    "intent": (intent, "not_ours"),
}


@pytest.mark.parametrize("case", CASES)
async def test_an_order_of_ours_that_was_ignored_is_found_and_granted_when_it_is_replayed(
    books: Books, case: str
) -> None:
    make, reason = CASES[case]
    buyer = await books.profile()
    event = make(OURS | {"profile_id": str(buyer)})
    event_id = await ignored(books, event, reason)
    assert set(await books.breaches()) == {"own_payments_are_not_ignored"}
    if reason == "unpaid" or case.startswith("free"):
        await books.db.execute("update public.coin_packages set amount_minor = 0")
    assert await replay(books, event_id, event) == APPLIED
    assert await books.breaches() == {}
    assert await books.coins(buyer) == COINS


@pytest.mark.parametrize("metadata", [OURS, {"profile_id": "of nobody"}], ids=["sku", "buyer"])
async def test_an_order_that_names_only_a_half_is_found(
    books: Books, metadata: dict[str, str]
) -> None:
    event = session(metadata)
    event_id = await ignored(books, event, "not_ours")
    assert set(await books.breaches()) == {"own_payments_are_not_ignored"}
    assert (await replay(books, event_id, event)).state in ("waiting", "held")


NOT_FOUND: dict[str, tuple[Event, str]] = {
    "another product's session": (session(THEIRS), "not_ours"),
    "another product's intent": (intent(THEIRS), "not_ours"),
    "another product's free order": (session(THEIRS, **FREE), "not_ours"),
    "empty metadata": (session({"sku": "", "profile_id": ""}), "not_ours"),
    "a reference of another product": (session({}, client_reference_id="17"), "not_ours"),
    "a card that is saved": (session(OURS, **SETUP), "unpaid"),
    "a trial": (session(OURS, **TRIAL), "unpaid"),
    "a session that is not paid yet": (session(OURS, payment_status="unpaid"), "unpaid"),
    "a refund": (made.charge_refunded(PAID, amount_refunded=1), "not_ours"),
}


@pytest.mark.parametrize("case", NOT_FOUND)
async def test_what_is_rightly_ignored_breaks_nothing(books: Books, case: str) -> None:
    event, reason = NOT_FOUND[case]
    await ignored(books, event, reason)
    assert await books.breaches() == {}


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b'{"sku"', b'{"sku": "\\u0000"}', b'["sku"]', b'{"data": "sku"}', None],
    ids=["bytes", "half", "nul", "list", "text", "erased"],
)
async def test_of_a_payload_that_says_nothing_nothing_is_said(
    books: Books, payload: bytes | None
) -> None:
    event_id = await ignored(books, session(OURS), "not_ours", payload)
    if payload is None:
        await books.db.execute(
            "update fleet.inbox_events set payload = null where id = $1", event_id
        )
    assert await books.breaches() == {}


@pytest.mark.parametrize("name", ["id", "payment_intent"])
@pytest.mark.parametrize("case", CASES)
async def test_what_a_direct_call_granted_is_not_missing(
    books: Books, case: str, name: str
) -> None:
    make, reason = CASES[case]
    event = make(OURS)
    paid_as = event["data"]["object"].get(name) or event["data"]["object"]["id"]
    await ignored(books, event, reason)
    await books.db.execute(
        "select public.process_coin_purchase($1, 'stripe', 'order_1', $2, 100, 1.00)",
        await books.profile(),
        paid_as,
    )
    assert await books.breaches() == {}
