"""Payment keys: all names of a payment lead to it, in whatever order they become known."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from db.facts import Names, Purchase, Refund
from db.inbox.batches import ClaimedEvent, EventId
from tasks.providers.stripe import Stripe
from tests.db.books import APPLIED, DUPLICATE, NO_PURCHASE_YET, NOON, SKU, Books, Outcome, Payment
from workers.cli.simulate import stripe as simulated

if TYPE_CHECKING:
    from uuid import UUID

    from db.facts import Fact


NAMES_ONLY = Outcome("ignored", "names_only")


async def ids(books: Books) -> dict[str, int]:
    """The payment id of each key."""
    rows = await books.db.fetch("select key, payment_id from fleet.payment_keys")
    return {row["key"]: row["payment_id"] for row in rows}


async def test_all_keys_of_a_fact_name_one_payment(books: Books) -> None:
    payment = Payment()
    await books.apply_one(payment.refund(1))
    known = await ids(books)
    assert known.keys() == set(payment.keys)
    assert len(set(known.values())) == 1


async def test_two_payments_of_a_batch_stay_two(books: Books) -> None:
    await books.apply(Payment().refund(1), Payment().refund(1))
    assert len(set((await ids(books)).values())) == 2


async def test_the_same_key_of_two_providers_names_two_payments(books: Books) -> None:
    await books.receive(Payment(7).refund(1))
    await books.work()
    await books.receive(Payment(7).refund(1))
    await books.db.execute(
        "update fleet.inbox_events set provider = 'apple' where state = 'pending'"
    )
    await books.work()
    assert await books.db.fetchval("select count(distinct payment_id) from fleet.payment_keys") == 2


async def test_a_refund_by_its_charge_finds_the_purchase_by_its_intent(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer))
    by_charge = payment.refund(40, payment_keys=[payment.charge])
    assert await books.apply_one(by_charge) == APPLIED
    assert await books.coins(buyer) == 60


async def test_facts_that_share_a_key_in_a_batch_are_one_payment_in_any_order(books: Books) -> None:
    for ordered in permutations(range(3)):
        buyer, payment = await books.profile(), Payment()
        facts = (
            payment.refund(10, "a", payment_keys=[payment.charge]),
            payment.refund(20, "b"),
            payment.bought(buyer, payment_keys=[payment.intent]),
        )
        assert await books.apply(*(facts[no] for no in ordered)) == [APPLIED] * 3
        assert await books.coins(buyer) == 70


async def test_a_refund_that_waits_by_a_name_still_unknown_is_found_when_it_is_known(
    books: Books,
) -> None:
    buyer, payment = await books.profile(), Payment()
    (early,) = await books.receive(payment.refund(10, "a", payment_keys=[payment.charge]))
    assert await books.work() == {early: NO_PURCHASE_YET}
    assert await books.apply_one(payment.bought(buyer, payment_keys=[payment.intent])) == APPLIED
    assert await books.coins(buyer) == 100
    # The second event of the payment names both, moves nothing itself, and joins the two.
    assert await books.apply_one(payment.bought(buyer)) == DUPLICATE
    assert await books.coins(buyer) == 90
    assert await books.outcome(early) == APPLIED


async def test_a_reversal_that_joins_two_names_closes_what_waited_by_one(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    (early,) = await books.receive(payment.refund(10, "a", payment_keys=[payment.charge]))
    await books.work()
    await books.apply_one(payment.bought(buyer, payment_keys=[payment.intent]))
    assert await books.apply_one(payment.refunded_so_far(30)) == APPLIED
    assert await books.coins(buyer) == 70
    assert await books.outcome(early) == APPLIED


async def test_an_event_without_metadata_that_joins_two_names_settles_what_waited(
    books: Books,
) -> None:
    buyer, payment = await books.profile(), Payment()
    (early,) = await books.receive(payment.refund(10, "a", payment_keys=[payment.charge]))
    await books.work()
    await books.apply_one(payment.bought(buyer, payment_keys=[payment.intent]))
    await books.apply_one(payment.not_ours())
    assert await books.coins(buyer) == 90
    assert await books.outcome(early) == APPLIED


@pytest.mark.parametrize("order", list(permutations(["refund", "purchase", "names"])))
async def test_names_alone_join_a_refund_with_its_purchase_in_any_order(
    books: Books, order: tuple[str, ...]
) -> None:
    buyer, payment = await books.profile(), Payment()
    facts: dict[str, Fact] = {
        "refund": payment.refund(10, payment_keys=[payment.charge]),
        "purchase": payment.bought(buyer, payment_keys=[payment.intent]),
        "names": Names(payment_keys=payment.keys),
    }
    for name in order:
        await books.apply_one(facts[name])
    assert await books.coins(buyer) == 90
    states = "select distinct state, reason from fleet.inbox_events order by 1"
    assert [tuple(row) for row in await books.db.fetch(states)] == [
        ("applied", None),
        ("ignored", "names_only"),
    ]


async def test_names_alone_grant_nothing_and_make_no_payment_anothers(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    assert await books.apply_one(Names(payment_keys=payment.keys)) == NAMES_ONLY
    assert await books.apply_one(payment.refund(10)) == NO_PURCHASE_YET
    assert await books.apply(payment.bought(buyer), Names(payment_keys=payment.keys)) == [
        APPLIED,
        NAMES_ONLY,
    ]
    assert await books.coins(buyer) == 90


async def test_names_show_that_what_waits_is_of_a_payment_that_is_not_ours(books: Books) -> None:
    payment = Payment()
    await books.apply_one(msgspec.structs.replace(payment.not_ours(), payment_keys=["pi_theirs"]))
    (early,) = await books.receive(payment.refund(10, payment_keys=[payment.charge]))
    await books.work()
    await books.apply_one(Names(payment_keys=["pi_theirs", payment.charge]))
    assert await books.outcome(early) == Outcome("ignored", "not_ours")


async def test_joining_two_payments_keeps_all_that_was_known_of_both(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply(
        payment.refund(10, "a", payment_keys=[payment.charge]),
        payment.refunded_so_far(30, payment_keys=[payment.charge]),
        payment.refund(40, "b", payment_keys=[payment.intent]),
        payment.refunded_so_far(20, payment_keys=[payment.intent]),
    )
    await books.apply_one(payment.bought(buyer))
    assert await books.coins(buyer) == 50


async def test_a_held_purchase_stays_held_when_its_payment_is_joined_with_another(
    books: Books,
) -> None:
    buyer, payment = await books.profile(), Payment()
    (held,) = await books.receive(payment.worth(buyer, 30_000))
    await books.work()
    await books.apply_one(payment.refund(1, payment_keys=["old_name"]))
    await books.apply_one(payment.refund(2, "b", payment_keys=["old_name", payment.intent]))
    assert await books.outcome(held) == Outcome("held", "needs_approval")
    assert await books.status(payment) == "pending"


async def test_a_chain_of_names_in_one_batch_becomes_one_payment(books: Books) -> None:
    names = ["first", "second", "third", "fourth"]
    await books.apply(*(refund_by(name) for name in names))
    assert len(set((await ids(books)).values())) == 4
    await books.apply(*(refund_by(*pair, amount_minor=2) for pair in pairwise(names)))
    assert len(set((await ids(books)).values())) == 1


def refund_by(*keys: str, amount_minor: int = 1) -> Refund:
    """Return a refund that names its payment by these keys."""
    return Refund(
        payment_keys=list(keys),
        told_at=NOON,
        refund_created_at=NOON,
        refund_id="re_" + "_".join(keys),
        amount_minor=amount_minor,
        status="succeeded",
    )


async def test_two_purchases_of_a_payment_both_follow_its_refunds(books: Books) -> None:
    buyer = await books.profile()
    first, second = Payment(), Payment()
    await books.apply(first.bought(buyer), second.bought(buyer))
    both = Purchase(
        provider_payment_id=second.intent,
        payment_keys=[second.intent, first.intent],
        profile_id=buyer,
        sku="coins_100",
        amount_minor=100,
        currency="usd",
        purchased_at=books.now,
    )
    assert await books.apply_one(both) == Outcome("applied", "granted_twice")
    await books.apply_one(first.refund(100))
    assert (await books.status(first), await books.status(second)) == ("refunded", "refunded")
    purchase = await books.purchase(second)
    await books.db.execute(
        "select fleet.close_double_grant($1, false, 'ann', 'both are refunded')", purchase["id"]
    )


# Events of Stripe: any name but that of the event's own object may be absent


def interpreted(event: dict[str, Any], *, absent: str = "") -> Fact:
    """Return the fact of an event whose object doesn't name one of the others."""
    event = msgspec.json.decode(msgspec.json.encode(event))
    event["data"]["object"].pop(absent, None)
    body = msgspec.json.encode(event)
    claimed = ClaimedEvent(EventId(1), "stripe", event["id"], event["type"], body, NOON, 0)
    return Stripe().interpret(claimed)


def reversal(payment: simulated.StripePayment, kind: str) -> dict[str, Any]:
    """Return an event that takes 40 of 100 back."""
    if kind == "refund":
        return simulated.refund_event(payment, refund_id="re_1", amount_minor=40)
    moved = [("txn_1", -37)]
    return simulated.dispute_event(
        payment, dispute_id="dp_1", amount_minor=40, balance_transactions=moved
    )


@pytest.mark.parametrize("name", ["pi", "ch", "cs"])
@pytest.mark.parametrize("first", ["call", "events"])
async def test_a_call_by_any_name_and_the_events_that_stripe_sends_are_one_purchase(
    books: Books, name: str, first: str
) -> None:
    buyer: UUID = await books.profile()
    payment = simulated.StripePayment(
        key=buyer.hex,
        amount_minor=100,
        created_s=int(NOON.timestamp()),
        metadata={"profile_id": str(buyer), "sku": SKU},
    )
    session = simulated.checkout_session_completed(payment)
    intent = simulated.payment_intent_succeeded(payment)
    told = [session["data"]["object"], intent["data"]["object"]]
    names = {"pi": told[1]["id"], "ch": told[1]["latest_charge"], "cs": told[0]["id"]}
    if isinstance(names["ch"], dict):
        names["ch"] = names["ch"]["id"]
    # Stripe sends both, in either order. The intent's event does not name the session.
    events = [interpreted(session), interpreted(intent)]
    if name == "ch":
        events.reverse()
    call = "select public.process_coin_purchase($1, 'stripe', 'landing_1', $2, 100, 1.00)"
    if first == "call":
        await books.db.execute(call, buyer, names[name])
    for event in events:
        await books.apply_one(event)
    await books.db.execute(call, buyer, names[name])
    assert await books.coins(buyer) == 100
    assert await books.db.fetchval("select count(*) from public.coin_purchases") == 1


@pytest.mark.parametrize("last", ["purchase", "by_intent", "by_charge"])
@pytest.mark.parametrize("kind", ["refund", "dispute"])
async def test_a_reversal_told_by_its_charge_and_by_its_intent_is_one_and_takes_its_coins(
    books: Books, kind: str, last: str
) -> None:
    buyer: UUID = await books.profile()
    payment = simulated.StripePayment(
        key=buyer.hex,
        amount_minor=100,
        created_s=int(NOON.timestamp()),
        metadata={"profile_id": str(buyer), "sku": SKU},
    )
    facts = {
        "purchase": interpreted(simulated.checkout_session_completed(payment)),
        "by_charge": interpreted(reversal(payment, kind), absent="payment_intent"),
        "by_intent": interpreted(reversal(payment, kind), absent="charge"),
    }
    for name in sorted(facts, key=lambda name: name == last):
        await books.apply(facts[name])
    assert await books.coins(buyer) == 60
    states = await books.db.fetch("select distinct state from fleet.inbox_events")
    assert [row["state"] for row in states] == ["applied"]
