"""What the app is told: each state of a gift or purchase once, by whoever decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from db.facts import Verdict
from tests.db.books import APPLIED, CAKE, SHORT, Outcome, Payment, gift
from tests.db.deliveries.messages import held

if TYPE_CHECKING:
    from tests.db.books import Books
    from tests.db.deliveries.messages import Messages

pytestmark = pytest.mark.requirement("I2")


async def test_a_credited_purchase_is_told_with_its_balance_and_number(
    books: Books, messages: Messages
) -> None:
    buyer = await books.profile(5)
    payment = Payment()
    (event_id,) = await books.receive(payment.bought(buyer, units=2))
    await books.work()
    (message,) = await messages.all()
    purchase = await books.purchase(payment)
    event = await books.event(event_id)
    assert (message.key, message.type) == (
        f"purchase-credited-{purchase['id']}",
        "purchase.credited",
    )
    assert message.data == {
        "event_id": event["provider_event_id"],
        "profile_id": str(buyer),
        "coins": 200,
        "coin_balance": 205,
        "seq": 2,
        "purchase_id": purchase["id"],
        "provider": "stripe",
        "payment_id": payment.intent,
        "sku": "coins_100",
        "quantity": 2,
        "status": "confirmed",
        "refunded_coins": 0,
        "reason": None,
    }


async def test_a_message_says_when_it_was_decided_in_utc(books: Books, messages: Messages) -> None:
    await books.db.execute("set local timezone to 'Asia/Tokyo'")
    await books.apply_one(Payment().bought(await books.profile()))
    told_at = datetime.fromisoformat((await messages.newest()).timestamp)
    assert told_at.tzinfo == UTC
    assert abs(told_at - datetime.now(UTC)) < timedelta(minutes=5)


async def test_an_applied_gift_is_told_with_the_senders_balance(
    books: Books, messages: Messages
) -> None:
    sender, recipient = await books.profiles(2, coins=10)
    (event_id,) = await books.receive(gift(sender, recipient, 3, gift_type=CAKE))
    await books.work()
    (message,) = await messages.all()
    gift_id = await books.db.fetchval("select id from public.gifts")
    assert (message.key, message.type) == (f"gift-applied-{gift_id}", "gift.applied")
    assert message.data == {
        "event_id": (await books.event(event_id))["provider_event_id"],
        "profile_id": str(sender),
        "coins": 9,
        "coin_balance": 1,
        "seq": 2,
        "gift_id": gift_id,
        "recipient_id": str(recipient),
        "gift_type": CAKE,
        "quantity": 3,
        "stream_id": None,
        "slot_index": None,
        "earnings": 4,
    }


async def test_a_refused_gift_is_told_with_its_reason(books: Books, messages: Messages) -> None:
    sender, recipient = await books.profiles(2, coins=2)
    (event_id,) = await books.receive(gift(sender, recipient, 3))
    assert await books.work() == {event_id: SHORT}
    (message,) = await messages.all()
    assert (message.key, message.type) == (f"gift-rejected-{event_id}", "gift.rejected")
    told = {name: message.data[name] for name in ("profile_id", "coins", "coin_balance", "seq")}
    assert told == {"profile_id": str(sender), "coins": 3, "coin_balance": 2, "seq": None}
    assert message.data["reason"] == "insufficient_coins"


@pytest.mark.parametrize("others", [0, 2])
async def test_a_gift_of_an_unknown_type_is_told_without_a_number_of_coins(
    books: Books, messages: Messages, others: int
) -> None:
    sender, recipient = await books.profiles(2, coins=10)
    batch = [gift(sender, recipient, gift_type="no such type")]
    batch += [gift(sender, recipient) for _ in range(others)]
    outcomes = await books.apply(*batch)
    assert outcomes == [Outcome("rejected", "unknown_gift_type"), *[APPLIED] * others]
    (refused,) = [m for m in await messages.all() if m.type == "gift.rejected"]
    # What it would have cost is known to nobody.
    assert (refused.data["coins"], refused.data["gift_type"]) == (None, "no such type")


async def test_of_a_batch_each_gift_is_told_as_it_ended(books: Books, messages: Messages) -> None:
    sender, recipient = await books.profiles(2, coins=100)
    outcomes = await books.apply(*(gift(sender, recipient, coins) for coins in (60, 70, 30, 10)))
    assert outcomes == [APPLIED, SHORT, APPLIED, APPLIED]
    told = [(m.type, m.data["coins"], m.data["coin_balance"]) for m in await messages.all()]
    assert sorted(told) == [
        ("gift.applied", 10, 0),
        ("gift.applied", 30, 10),
        ("gift.applied", 60, 40),
        ("gift.rejected", 70, 0),
    ]


async def test_a_gift_that_waits_for_a_top_up_is_told_when_it_is_decided(
    books: Books, messages: Messages
) -> None:
    sender, recipient = await books.profiles(2)
    await books.receive(Payment().bought(sender))
    await books.db.execute(
        "update fleet.inbox_events set next_attempt_at = $1", books.now + timedelta(seconds=1)
    )
    (event_id,) = await books.receive(gift(sender, recipient, 3))
    assert await books.work() == {event_id: Outcome("pending", "insufficient_coins")}
    assert await messages.all() == []
    books.wait(seconds=6)
    await books.work()
    assert sorted(await messages.types()) == ["gift.applied", "purchase.credited"]


async def test_a_gift_that_cannot_be_read_is_told(books: Books, messages: Messages) -> None:
    (event_id,) = await books.receive(gift(uuid4(), uuid4()))
    await books.db.execute(
        "update fleet.inbox_events set state = 'rejected', reason = 'malformed',"
        " processed_at = clock_timestamp() where id = $1",
        event_id,
    )
    message = await messages.newest()
    assert (message.key, message.data["reason"]) == (f"gift-rejected-{event_id}", "malformed")


async def test_a_viewers_own_gift_is_told(books: Books, messages: Messages) -> None:
    sender, recipient = await books.profiles(2, coins=5)
    await books.db.execute(
        "select set_config('request.jwt.claims', json_build_object('sub', $1::text)::text, true)",
        str(sender),
    )
    for _ in range(2):
        await books.db.execute("select * from public.process_gift($1, 'rose', 'key')", recipient)
    (message,) = await messages.all()
    assert (message.type, message.data["event_id"]) == ("gift.applied", f"client:{sender}:key")


async def test_a_direct_call_is_told_once(books: Books, messages: Messages) -> None:
    buyer = await books.profile()
    for _ in range(2):
        await books.db.execute(
            "select * from public.process_coin_purchase($1, 'app', 'evt', 'pay', 100, 1.00)", buyer
        )
    assert await messages.types() == ["purchase.credited"]


async def test_a_direct_call_above_the_threshold_is_told_as_held(
    books: Books, messages: Messages
) -> None:
    await books.db.execute(
        "select * from public.process_coin_purchase($1, 'app', 'evt', 'pay', 100, 30000)",
        await books.profile(7),
    )
    (message,) = await messages.all()
    assert (message.type, message.data["reason"]) == ("purchase.held", "needs_approval")
    assert (message.data["coin_balance"], message.data["seq"]) == (7, None)


async def test_events_told_again_tell_nothing_more(books: Books, messages: Messages) -> None:
    payment, buyer = Payment(), await books.profile()
    for _ in range(3):
        await books.apply_one(payment.bought(buyer))
        await books.apply_one(payment.refund(40))
    assert await messages.types() == ["purchase.credited", "purchase.reversed"]


async def test_a_reversal_says_how_many_coins_and_why(books: Books, messages: Messages) -> None:
    payment, buyer = Payment(), await books.profile()
    await books.apply_one(payment.bought(buyer))
    await books.apply_one(payment.refund(40))
    message = await messages.newest()
    assert message.key.startswith(f"purchase-reversed-{(await books.purchase(payment))['id']}-")
    told = {name: message.data[name] for name in ("coins", "coin_balance", "seq", "reason")}
    assert told == {"coins": 40, "coin_balance": 60, "seq": 2, "reason": "refund"}
    assert (message.data["status"], message.data["refunded_coins"]) == ("confirmed", 40)


async def test_each_step_of_a_dispute_is_told(books: Books, messages: Messages) -> None:
    payment, buyer = Payment(), await books.profile()
    await books.apply_one(payment.bought(buyer))
    await books.apply_one(payment.dispute(100, -100))
    await books.apply_one(payment.dispute(100, -100, 100))
    assert await messages.types() == [
        "purchase.credited",
        "purchase.reversed",
        "purchase.reinstated",
    ]
    told = [(m.data["coins"], m.data["coin_balance"], m.data["seq"]) for m in await messages.all()]
    assert told == [(100, 100, 1), (100, 0, 2), (100, 100, 3)]


async def test_a_refund_ahead_of_its_purchase_is_told_with_it(
    books: Books, messages: Messages
) -> None:
    payment, buyer = Payment(), await books.profile()
    await books.apply_one(payment.refund(40))
    assert await messages.all() == []
    await books.apply_one(payment.bought(buyer))
    assert await messages.types() == ["purchase.credited", "purchase.reversed"]


async def test_a_grant_that_is_taken_back_by_the_owner_is_told(
    books: Books, messages: Messages
) -> None:
    buyer = await books.profile()
    payment = Payment()
    await books.apply_one(payment.bought(buyer))
    other = Payment()
    await books.apply_one(other.bought(buyer))
    keys = [*payment.keys, *other.keys]
    await books.apply_one(payment.bought(buyer, payment_keys=keys))
    second = (await books.purchase(other))["id"]
    await books.db.execute("select fleet.close_double_grant($1, true, 'me', 'why')", second)
    assert await messages.types() == ["purchase.credited"] * 2 + ["purchase.reversed"]


async def test_corrections_and_what_is_not_ours_are_not_told(
    books: Books, messages: Messages
) -> None:
    await books.profile(100)
    await books.apply_one(Payment().not_ours())
    await books.apply_one(Verdict(state="ignored", reason="unknown_type"))
    assert await messages.all() == []


async def test_what_an_upgrade_copies_is_not_told(books: Books, messages: Messages) -> None:
    # It stands while an upgrade runs.
    await books.db.execute("create schema upgrade")
    buyer, streamer = await books.profiles(2)
    payment = Payment()
    await books.apply(payment.bought(buyer), gift(buyer, streamer), Payment().worth(buyer, 30_000))
    await books.apply_one(payment.refund(40))
    assert await messages.all() == []
    # As its last step does.
    await books.db.execute("drop schema upgrade")
    await books.db.execute("update fleet.settings set app_told_since = clock_timestamp()")


async def test_an_event_that_fails_tells_nothing(books: Books, messages: Messages) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.db.execute(
        "alter table public.coin_purchases add constraint broken check (false) not valid"
    )
    await books.apply_one(payment.bought(buyer))
    assert await messages.all() == []
    await books.db.execute("alter table public.coin_purchases drop constraint broken")


@pytest.mark.parametrize("types", [["purchase.credited", "purchase.reversed"]])
async def test_the_app_is_told_only_what_happens_after_it_was_asked_for(
    books: Books, messages: Messages, types: list[str]
) -> None:
    configure = "select fleet.configure_app_events($1)"
    await books.db.execute(configure, False)  # noqa: FBT003
    early, late, buyer = Payment(), Payment(), await books.profile()
    await books.apply_one(early.bought(buyer))
    _, purchase_id = await held(books)
    assert await messages.all() == []
    await books.db.execute(configure, True)  # noqa: FBT003
    since = await books.db.fetchval("select app_told_since from fleet.settings")
    await books.db.execute(configure, True)  # noqa: FBT003
    assert await books.db.fetchval("select app_told_since from fleet.settings") == since
    assert await messages.all() == []
    await books.apply_one(late.bought(buyer))
    await books.apply_one(early.refund(40))
    assert await messages.types() == types
    await books.db.execute("select * from reject_coin_purchase($1, 'me', 'why')", purchase_id)
    assert (await messages.newest()).type == "purchase.rejected"
