"""Two connections at once: the books end the same, whichever comes first."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from db.inbox.claims import Inbox
from tests.conditions import eventually
from tests.db.books import APPLIED, NO_PURCHASE_YET, NOON, Books, Outcome, Payment, gift
from tests.db.money.calls import buy, give
from tests.db.races import IS_BLOCKED, blocked, second_waits_for_first

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("C2", "H2")

ROUNDS = 20


@pytest_asyncio.fixture
async def observer(connect: Connect) -> Connection:
    """A connection that sees which session waits for which."""
    return await connect()


@pytest_asyncio.fixture
async def first(connect: Connect) -> Books:
    """The books of the worker that comes first."""
    return Books(await connect())


@pytest_asyncio.fixture
async def second(connect: Connect) -> Books:
    """The books of another worker."""
    return Books(await connect())


async def apply_side_by_side(
    observer: Connection, first: Books, second: Books
) -> tuple[list[Outcome], list[Outcome]]:
    """Let the first worker take the oldest event, the second the others; it waits for the first."""
    one, rest = await second_waits_for_first(
        observer,
        first=first.db,
        first_work=first.work(limit=1),
        second=second.db,
        second_work=second.work(),
    )
    return list(one.values()), list(rest.values())


async def ended_or_blocked(
    observer: Connection, work: asyncio.Task[Any], connection: Connection
) -> None:
    """Wait until the work on a connection has ended, or another session stops it."""

    async def is_still() -> bool:
        return work.done() or await observer.fetchval(IS_BLOCKED, connection.get_server_pid())

    await eventually(is_still)


# Refund and purchase of one payment


async def test_a_refund_waits_for_the_purchase_that_is_being_recorded(
    books: Books, observer: Connection, first: Books, second: Books
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.receive(payment.bought(buyer), payment.refund(40))
    assert await apply_side_by_side(observer, first, second) == ([APPLIED], [APPLIED])
    assert await books.coins(buyer) == 60


async def test_a_purchase_waits_for_the_refund_that_is_being_recorded(
    books: Books, observer: Connection, first: Books, second: Books
) -> None:
    buyer, payment = await books.profile(), Payment()
    refund, _ = await books.receive(payment.refund(40), payment.bought(buyer))
    assert await apply_side_by_side(observer, first, second) == ([NO_PURCHASE_YET], [APPLIED])
    assert await books.outcome(refund) == APPLIED
    assert await books.coins(buyer) == 60


async def test_a_refund_by_another_name_of_the_payment_waits_too(
    books: Books, observer: Connection, first: Books, second: Books
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.refunded_so_far(10))
    refund, _ = await books.receive(
        payment.refund(40, payment_keys=[payment.charge]),
        payment.bought(buyer, payment_keys=[payment.intent]),
    )
    assert await apply_side_by_side(observer, first, second) == ([NO_PURCHASE_YET], [APPLIED])
    assert await books.outcome(refund) == APPLIED
    assert await books.coins(buyer) == 60


async def test_a_name_that_joins_the_payment_meanwhile_is_waited_for_as_well(
    books: Books, observer: Connection, first: Books, second: Books, connect: Connect
) -> None:
    buyer, payment, third = await books.profile(), Payment(), Books(await connect())
    await books.apply_one(payment.refund(10, "a", payment_keys=[payment.intent]))
    await books.receive(
        payment.refund(20, "b"),  # names the charge too
        payment.bought(buyer, payment_keys=[payment.intent]),
        payment.refund(30, "c", payment_keys=[payment.charge]),
    )
    teaching = first.db.transaction()
    await teaching.start()
    await first.work(limit=1)
    buying = second.db.transaction()
    await buying.start()
    async with blocked(observer, second.db, second.work(limit=1)) as bought:
        await teaching.commit()
        await bought
        async with blocked(observer, third.db, third.work()) as refunded:
            await buying.commit()
    assert list(refunded.result().values()) == [APPLIED]
    assert await books.coins(buyer) == 40


async def test_waiting_for_two_names_of_a_payment_never_deadlocks_when_they_join(
    books: Books, observer: Connection, first: Books, second: Books, connect: Connect
) -> None:
    joiner = Books(await connect())
    for _ in range(ROUNDS):
        buyer, payment = await books.profile(), Payment()
        await books.apply(payment.bought(buyer, payment_keys=[payment.intent]))
        await books.apply(payment.refund(10, "a", payment_keys=[payment.charge]))
        await books.receive(
            payment.refunded_so_far(10),
            payment.refund(20, "b", payment_keys=[payment.intent]),
            payment.refund(30, "c", payment_keys=[payment.charge]),
        )
        joining = joiner.db.transaction()
        await joining.start()
        await joiner.work(limit=1)
        async with (
            blocked(observer, first.db, first.work(limit=1)) as by_intent,
            blocked(observer, second.db, second.work(limit=1)) as by_charge,
        ):
            await joining.commit()
        for work in (by_intent, by_charge):
            assert list(work.result().values()) == [APPLIED]
        assert await books.coins(buyer) == 40


async def test_two_names_that_become_one_payment_are_decided_about_one_after_the_other(
    books: Books, observer: Connection, first: Books, second: Books, connect: Connect
) -> None:
    buyer, payment, joiner = await books.profile(), Payment(), Books(await connect())
    await books.apply(payment.refund(10, "a", payment_keys=[payment.intent]))
    await books.apply(payment.refund(10, "b", payment_keys=[payment.charge]))
    await books.receive(
        payment.refund(10, "c"),  # names both
        payment.bought(buyer, payment_keys=[payment.intent]),
        payment.refund(30, "d", payment_keys=[payment.charge]),
    )
    joining, *both = (each.db.transaction() for each in (joiner, first, second))
    for transaction in (joining, *both):
        await transaction.start()
    await joiner.work(limit=1)
    async with (
        blocked(observer, first.db, first.work(limit=1)) as bought,
        blocked(observer, second.db, second.work(limit=1)) as refunded,
    ):
        await joining.commit()
        # Each has waited for another name. Neither may see less than what the other decides.
        running = {bought: (first.db, both[0]), refunded: (second.db, both[1])}
        while running:
            ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for work in set(running) - ended:
                await ended_or_blocked(observer, work, running[work][0])
            for work in ended:
                await running.pop(work)[1].commit()
    assert await books.coins(buyer) == 40
    assert await books.breaches() == {}


async def test_two_events_of_a_payment_grant_it_once(
    books: Books, observer: Connection, first: Books, second: Books
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.receive(payment.bought(buyer), payment.bought(buyer))
    outcomes = await apply_side_by_side(observer, first, second)
    assert outcomes == ([APPLIED], [Outcome("applied", "duplicate_payment")])
    assert await books.coins(buyer) == 100


async def test_refunds_of_one_payment_add_up(
    books: Books, observer: Connection, first: Books, second: Books
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer))
    await books.receive(payment.refund(40, "a"), payment.refund(50, "b"))
    await apply_side_by_side(observer, first, second)
    assert await books.coins(buyer) == 10


async def test_velocity_counts_a_purchase_that_is_being_recorded(
    books: Books, observer: Connection, first: Books, second: Books
) -> None:
    buyer = await books.profile()
    await books.apply(*(Payment().bought(buyer) for _ in range(4)))
    late = NOON + timedelta(seconds=30)
    await books.receive(Payment().bought(buyer), Payment().bought(buyer, purchased_at=late))
    outcomes = await apply_side_by_side(observer, first, second)
    assert outcomes == ([APPLIED], [Outcome("held", "velocity")])


# One profile


async def test_a_gift_waits_for_the_top_up_that_is_being_recorded(
    books: Books, observer: Connection, first: Books, second: Books
) -> None:
    sender, streamer = await books.profiles(2)
    await books.receive(Payment().bought(sender), gift(sender, streamer, 100))
    assert await apply_side_by_side(observer, first, second) == ([APPLIED], [APPLIED])


async def test_a_gift_that_overtakes_its_claimed_top_up_stays_open(
    books: Books, first: Books, second: Books
) -> None:
    sender, streamer = await books.profiles(2)
    top_up, given = await books.receive(Payment().bought(sender), gift(sender, streamer, 100))
    async with first.db.transaction():
        assert [event["id"] for event in await first.claim(limit=1)] == [top_up]
        assert await second.work() == {given: Outcome("pending", "insufficient_coins")}
    second.wait(seconds=1)
    assert await second.work() == {top_up: APPLIED, given: APPLIED}


async def test_two_gifts_can_not_spend_the_same_coins(
    books: Books, observer: Connection, first: Books, second: Books
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    await books.receive(gift(sender, streamer, 10), gift(sender, streamer, 10))
    outcomes = await apply_side_by_side(observer, first, second)
    assert outcomes == ([APPLIED], [Outcome("rejected", "insufficient_coins")])


async def test_gifts_both_ways_between_two_people_never_deadlock(
    books: Books, first: Books, second: Books
) -> None:
    one, other = await books.profile(coins=1_000), await books.profile(coins=1_000)
    for _ in range(ROUNDS):
        there, back = gift(one, other), gift(other, one)
        await books.receive(*(there, back, back, there, back, there))
        outcomes = await asyncio.gather(first.work(limit=3), second.work(limit=3))
        assert [*outcomes[0].values(), *outcomes[1].values()] == [APPLIED] * 6


@pytest.mark.parametrize("known_by", ["purchase", "joined_purchase", "half"])
async def test_a_batch_locks_the_buyers_of_payments_in_order_with_all_others(
    books: Books, observer: Connection, first: Books, second: Books, known_by: str
) -> None:
    payment, session = Payment(), "cs_1"
    low, *others = sorted(await books.profiles(3, coins=10))
    told: Fact = payment.refund(100)
    match known_by:
        case "purchase":
            await books.apply_one(payment.bought(low))
        case "joined_purchase":
            await books.apply_one(payment.bought(others[0]))
            named: dict[str, Any] = {"provider_payment_id": session, "payment_keys": [session]}
            await books.apply_one(payment.bought(low, **named))
            await books.apply_one(payment.refund(1, payment_keys=[payment.intent, session]))
        case "half":
            await books.apply_one(payment.bought(low, sku=None))
            told = payment.bought(None)
    await books.receive(gift(*others), told)
    lock = "select from public.profiles where id = any($1) for no key update nowait"
    transaction = first.db.transaction()
    await transaction.start()
    await first.db.execute(lock, [low])
    async with blocked(observer, second.db, second.work()) as task:
        await first.db.execute(lock, others)
        await transaction.commit()
    assert {outcome.state for outcome in task.result().values()} == {"applied"}
    close = "select fleet.close_double_grant(j.purchase_id, false, 'ann', 'kept')"
    await books.db.execute(f"{close} from fleet.joined_purchases as j")


async def test_two_workers_share_the_gifts_to_one_streamer(books: Books, worker_pool: Pool) -> None:
    senders = await books.profiles(5, coins=100)
    streamer = await books.profile()
    event_ids = await books.receive(*(gift(senders[no % 5], streamer) for no in range(400)))
    first_id = event_ids[0]

    def interpret(event: ClaimedEvent) -> Fact:
        return gift(senders[(event.id - first_id) % 5], streamer)

    async def drain(name: str) -> int:
        inbox = Inbox(worker_pool, worker=name)
        applied = 0
        while claimed := (await inbox.process_batch(interpret, limit=7)).claimed:
            applied += claimed
        return applied

    assert sum(await asyncio.gather(*(drain(f"worker {no}") for no in range(3)))) == 400
    # A gift of a rose earns 0.7 coins, rounded down.
    assert [await books.coins(sender) for sender in senders] == [20] * 5
    assert await books.earnings(streamer) == 0


# The functions of the API


async def test_a_gift_told_on_two_connections_is_given_once(
    books: Books, observer: Connection, signed_in: SignIn
) -> None:
    sender, streamer = await books.profile(coins=10), await books.profile()
    one, other = await signed_in(sender), await signed_in(sender)
    results = await second_waits_for_first(
        observer,
        first=one,
        first_work=give(one, streamer),
        second=other,
        second_work=give(other, streamer),
    )
    assert results == ((9, False), (9, True))


@pytest.mark.parametrize("order", [1, -1])
async def test_a_gift_waits_for_the_first_of_two_people_and_holds_the_other_from_nobody(
    books: Books, observer: Connection, first: Books, signed_in: SignIn, order: int
) -> None:
    ids = sorted(await books.profiles(2, coins=10))
    sender, streamer = ids[::order]
    lock = "select from public.profiles where id = $1 for no key update nowait"
    # Whoever locks both in order, as a worker's batch does, is let through: else each would wait.
    transaction = first.db.transaction()
    await transaction.start()
    await first.db.execute(lock, ids[0])
    viewer = await signed_in(sender)
    async with blocked(observer, viewer, give(viewer, streamer)) as task:
        await first.db.execute(lock, ids[1])
        await transaction.commit()
    assert task.result() == (9, False)


@pytest.mark.parametrize(("event", "payment"), [("evt", "pay"), ("new", "pay")])
async def test_a_purchase_told_on_two_connections_is_credited_once(
    books: Books, observer: Connection, signed_in: SignIn, event: str, payment: str
) -> None:
    buyer = await books.profile()
    one, other = await signed_in(role="service_role"), await signed_in(role="service_role")
    results = await second_waits_for_first(
        observer,
        first=one,
        first_work=buy(one, buyer),
        second=other,
        second_work=buy(other, buyer, event, payment),
    )
    assert results == (("confirmed", 100, False), ("confirmed", 100, True))


async def test_an_adjustment_told_on_two_connections_is_made_once(
    books: Books, observer: Connection, first: Books, second: Books
) -> None:
    profile = await books.profile()
    results = await second_waits_for_first(
        observer,
        first=first.db,
        first_work=first.adjust(profile, 5, key="once"),
        second=second.db,
        second_work=second.adjust(profile, 5, key="once"),
    )
    assert results == (5, 5)
    assert await books.coins(profile) == 5


async def test_a_failure_that_comes_late_finds_the_event_applied(
    books: Books, observer: Connection, first: Books, second: Books
) -> None:
    buyer = await books.profile()
    (event_id,) = await books.receive(Payment().bought(buyer))
    _, failed = await second_waits_for_first(
        observer,
        first=first.db,
        first_work=first.work(),
        second=second.db,
        second_work=second.db.fetchval("select fleet.fail_event($1, 'late')", event_id),
    )
    assert failed is None
    assert await books.outcome(event_id) == APPLIED
