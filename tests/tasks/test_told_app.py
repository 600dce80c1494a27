"""From the decision to the app: what happened is heard once, whatever fails between."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from db.erasure import erase_profile
from db.housekeeping import drop_old_deliveries
from tasks.provider_calls import make_provider_calls
from tests.db.books import PRICE_LIST, Books, Payment, breaches, gift
from tests.tasks.contexts import make_context
from tests.tasks.providers.app.receiver import OLD, Receiver
from workers.mock_providers.app import MockApp, make_app
from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool
    from tasks.context import Context

pytestmark = pytest.mark.requirement("I2")

PAUSED_MARK = "provider_calls_paused"


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """The app's server."""
    receiver = Receiver(MockApp(secrets=[OLD]))
    async with serving(make_app(receiver)) as receiver.base:
        yield receiver
        receiver.app.silence.set()


@pytest_asyncio.fixture
async def told(db: Connection) -> AsyncIterator[Books]:
    """Books of which the app is told; they are right at the end."""
    await db.execute(PRICE_LIST)
    books = Books(db)
    books.now = datetime.now(UTC)
    await db.execute("update fleet.settings set app_told_since = '2026-01-01'")
    yield books
    assert await breaches(db) == {}


@pytest_asyncio.fixture
async def context(worker_pool: Pool, receiver: Receiver) -> AsyncIterator[Context]:
    """What a worker gives to the task."""
    context = make_context(worker_pool, providers={"app": receiver.provider()})
    yield context
    await context.providers["app"].close()


async def make_due(db: Connection) -> None:
    """Let the pauses of failed messages be over."""
    await db.execute("update fleet.provider_calls set next_attempt_at = now()")


async def states(db: Connection) -> list[str]:
    """What became of each message."""
    rows = await db.fetch("select state from fleet.provider_calls order by id")
    return [state for (state,) in rows]


async def test_what_a_batch_decides_is_heard_by_the_app(
    told: Books, context: Context, receiver: Receiver
) -> None:
    buyer, streamer = await told.profiles(2)
    payment = Payment()
    await told.apply(payment.bought(buyer), gift(buyer, streamer, 30), gift(buyer, streamer, 90))
    await told.apply_one(payment.refund(50))
    assert await make_provider_calls(context) == 4
    assert await make_provider_calls(context) == 0
    assert sorted(receiver.app.types()) == [
        "gift.applied",
        "gift.rejected",
        "purchase.credited",
        "purchase.reversed",
    ]
    # The order is not promised: the number of the account says which state is the newest.
    newest = max(receiver.app.taken.values(), key=lambda message: message.data["seq"] or 0)
    assert newest.data["coin_balance"] == await told.coins(buyer) == 20


async def test_an_outage_of_days_delays_and_loses_nothing(
    told: Books, context: Context, receiver: Receiver
) -> None:
    await told.apply_one(Payment().bought(await told.profile()))
    receiver.app.always = "unavailable"
    for _ in range(9):
        await make_provider_calls(context)
        await make_due(told.db)
        context.breakers["app"].note_answer()
    assert await states(told.db) == ["pending"]
    receiver.app.always = None
    await make_provider_calls(context)
    assert receiver.app.types() == ["purchase.credited"]
    assert len({body for _, body in receiver.app.arrivals}) == 1


async def test_after_three_days_a_message_is_dead_and_seen(
    told: Books, context: Context, receiver: Receiver
) -> None:
    await told.apply_one(Payment().bought(await told.profile()))
    receiver.app.always = "refused"
    with capture_logs() as logs:
        for _ in range(10):
            await make_provider_calls(context)
            await make_due(told.db)
    assert await states(told.db) == ["dead"]
    assert len(receiver.app.arrivals) == 10
    assert logs[-1]["log_level"] == "error"
    assert logs[-1]["then"] == "dead: see `coinfleet status`"
    assert OLD not in str(logs)
    assert "tenant" not in str(logs)


async def test_an_app_that_is_gone_is_left_alone_until_a_person_says_so(
    told: Books, context: Context, receiver: Receiver
) -> None:
    buyer = await told.profile()
    await told.apply(*(Payment().bought(buyer) for _ in range(3)))
    receiver.app.always = "gone"
    with capture_logs() as logs:
        await make_provider_calls(context)
        heard = len(receiver.app.arrivals)
        await told.apply_one(Payment().bought(buyer))
        await make_due(told.db)
        await make_provider_calls(context)
    assert len(receiver.app.arrivals) == heard
    paused = [line for line in logs if line["event"] == PAUSED_MARK]
    assert [line["log_level"] for line in paused] == ["error"]
    assert await states(told.db) == ["pending"] * 4
    receiver.app.always = None
    await told.db.execute("delete from fleet.call_pauses")
    await make_provider_calls(context)
    assert len(receiver.app.taken) == 4


async def test_a_throttling_app_gets_nothing_until_its_time_is_over(
    told: Books, context: Context, receiver: Receiver
) -> None:
    buyer = await told.profile()
    await told.apply_one(Payment().bought(buyer))
    receiver.app.always, receiver.app.retry_after = "throttled", "3000"
    await make_provider_calls(context)
    await told.apply_one(Payment().bought(buyer))
    await make_provider_calls(context)
    assert len(receiver.app.arrivals) == 1
    waits = await told.db.fetchval(
        "select min(next_attempt_at) filter (where attempts = 1) > now() + interval '49 minutes'"
        " from fleet.provider_calls"
    )
    assert waits


async def test_a_message_that_was_taken_and_whose_answer_was_lost_comes_again_under_its_id(
    told: Books, context: Context, receiver: Receiver, worker_pool: Pool
) -> None:
    await told.apply_one(Payment().bought(await told.profile()))
    receiver.app.faults = ["lost"]
    cut = asyncio.create_task(make_provider_calls(context))
    while not receiver.app.taken:  # noqa: ASYNC110 - the server tells it in no other way
        await asyncio.sleep(0)
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    await told.db.execute("update fleet.provider_calls set lease_until = now()")
    await make_due(told.db)
    other = make_context(worker_pool, providers={"app": receiver.provider()}, worker="other")
    assert await make_provider_calls(other) == 1
    await other.providers["app"].close()
    assert len(receiver.app.arrivals) == 2
    assert len(set(receiver.app.arrivals)) == 1
    assert len(receiver.app.taken) == 1


async def test_an_erased_person_is_in_no_message_that_was_taken(
    told: Books, context: Context, database_url: str
) -> None:
    buyer, streamer = await told.profiles(2)
    await told.apply(Payment().bought(buyer), gift(buyer, streamer, 3))
    other = await told.profile()
    await told.apply_one(Payment().bought(other))
    await make_provider_calls(context)
    await erase_profile(database_url, UUID(str(buyer)), requested_by="me", reason="why")
    left = await told.db.fetch("select request::text from fleet.provider_calls order by id")
    assert [text == "{}" for (text,) in left] == [True, True, False]
    assert str(buyer) not in str(left)


async def test_what_was_taken_a_week_ago_is_removed(
    told: Books, context: Context, worker_pool: Pool
) -> None:
    buyer = await told.profile()
    await told.apply_one(Payment().bought(buyer))
    await make_provider_calls(context)
    await told.db.execute(
        "update fleet.provider_calls set finished_at = $1", told.now - timedelta(days=8)
    )
    await told.db.execute(
        "update public.coin_purchases set granted_at = $1", told.now - timedelta(days=8)
    )
    assert await drop_old_deliveries(worker_pool) == 1
    assert await states(told.db) == []
