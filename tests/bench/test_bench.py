"""Each side of each benchmark does the work that is measured; no test here asserts a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.bench import apply, fleets, memory, presence, receiving, verification
from tests.bench.books import open_books
from tests.bench.load import complete_status, deliver
from tests.bench.measurements import Budget, Pairs, Row, interleave
from tests.bench.money import gifts, history, refunds
from tests.bench.processes import serving
from tests.bench.report import draw_cost_per_event
from tests.bench.servers import Servers
from tests.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.bench.books import Books
    from tests.clusters import Cluster, Database


@pytest_asyncio.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    async with open_books(database, users=20) as books:
        yield books


@pytest.fixture
def environment(cluster: Cluster, redis_url: str, books: Books) -> dict[str, str]:
    return Servers(cluster, redis_url).environment(books)


@pytest.mark.parametrize("hot", [False, True])
async def test_batches_apply_every_gift(books: Books, *, hot: bool) -> None:
    await apply.apply_gifts(books, count=30, batch_size=7, hot=hot)
    streamers = await books.owner.fetchval("select count(distinct recipient_id) from public.gifts")
    assert await books.owner.fetchval("select count(*) from public.gifts") == 30
    assert (streamers == 1) is hot
    assert await books.breaches() == {}


async def test_each_way_of_verifying_takes_the_notification() -> None:
    rows = await verification.measure(pairs=1, rounds=1)
    assert [row.number for row in rows] == [9, 9, 10, 10]


async def test_calls_send_every_gift_in_a_transaction_of_its_own(books: Books) -> None:
    async with apply.callers(books) as pool:
        await apply.call_process_gift(books, pool, count=20)
    written = "select count(distinct xact_id) from public.ledger_entries where reason = 'gift'"
    assert await books.owner.fetchval(written) == 20
    assert await books.breaches() == {}


async def test_the_floors_write_what_gifts_leave(books: Books) -> None:
    await gifts.make_floors(books)
    async with apply.callers(books) as pool:
        await apply.call_process_gift(books, pool, count=20, function=gifts.MINIMAL)
    await gifts.write_gifts(books, count=30, batch_size=7)
    await history.age(books, entries=200)
    written = "select count(*) from public.ledger_entries where reason = 'gift'"
    assert await books.owner.fetchval(written) == 3 * 50
    states = await books.owner.fetch("select distinct state from fleet.inbox_events")
    assert [state for (state,) in states] == ["applied"]
    assert await books.breaches() == {}


async def test_one_gift_alone_and_whole_refunds_are_applied(books: Books) -> None:
    row = await gifts.measure_alone(books, count=3)
    assert row.value > 0
    await refunds.measure(books, pairs=1, count=7)
    statuses = await books.owner.fetch(
        "select status, count(*) from public.coin_purchases group by 1"
    )
    assert [tuple(each) for each in statuses] == [("refunded", 7)]
    assert await books.breaches() == {}


@pytest.mark.long
@pytest.mark.parametrize(
    ("module", "variant", "stored"),
    [
        ("workers.webhooks", {}, 40),
        ("tests.bench.webs", {}, 40),
        ("tests.bench.webs", {"BENCH_WITHOUT_DATABASE": "1"}, 0),
    ],
)
async def test_each_web_acknowledges_every_webhook(
    books: Books,
    environment: dict[str, str],
    tmp_path: Path,
    *,
    module: str,
    variant: dict[str, str],
    stored: int,
) -> None:
    async with serving(module, environment | variant, log=tmp_path / "log") as (port, _):
        await receiving.receive(books, port, count=40)
    assert await books.owner.fetchval("select count(*) from fleet.inbox_events") == stored


@pytest.mark.long
async def test_our_fleet_applies_what_it_receives(
    books: Books, environment: dict[str, str], tmp_path: Path
) -> None:
    async with fleets.our_fleet(books, environment, log=tmp_path / "log") as fleet:
        await fleet.receive_and_apply(count=40)
        rows = await fleets.measure_light_load(fleet, count=2)
        rows += await memory.measure(fleet, count=50)
    assert [row.number for row in rows] == [6, 6, 8, 8, 8, 8]
    # A Python process that holds less than this isn't one of ours.
    assert all(row.value > 20 for row in rows if row.budget.unit == "MB")
    assert await books.owner.fetchval("select count(*) from public.gifts") == 25
    assert await books.owner.fetchval("select count(*) from public.coin_purchases") == 27
    assert await books.breaches() == {}


@pytest.mark.long
async def test_the_textbook_applies_what_it_receives(
    books: Books, environment: dict[str, str], tmp_path: Path
) -> None:
    async with fleets.textbook_fleet(books, environment, log=tmp_path / "log") as fleet:
        await fleet.receive_and_apply(count=40)
    moved = await books.owner.fetchrow("""
        select count(*) filter (where account = 'coins' and amount > 0) as purchases,
            count(*) filter (where account = 'earnings') as gifts, sum(amount) as sum
        from textbook.ledger_entries
    """)
    assert moved is not None
    assert dict(moved) == {"purchases": 20, "gifts": 20, "sum": 0}


@pytest.mark.long
async def test_the_textbook_credits_a_second_delivery_nothing(
    books: Books, environment: dict[str, str], tmp_path: Path
) -> None:
    purchase, gift = books.purchase().request, books.gift().request
    async with fleets.textbook_fleet(books, environment, log=tmp_path / "log") as fleet:
        for _ in range(2):
            delivered = await deliver(fleet.web.port, [purchase, gift])
            assert delivered.acknowledged == 2

        async def is_idle() -> bool:
            return await fleet.count("pending") == 0

        await eventually(is_idle)
    assert await books.owner.fetchval("select count(*) from textbook.ledger_entries") == 5


async def test_each_round_of_presence_is_swept_and_recomputed(database: Database) -> None:
    rows = await presence.measure(database, pairs=2, streams=100, viewers=2_000)
    assert [row.number for row in rows] == [7, 7, 7, 7, 7]
    assert all(row.spread for row in rows)


async def test_both_sides_of_presence_publish_the_same_where_nobody_is_over_the_limit(
    database: Database,
) -> None:
    rounds = presence.plan_rounds([0.05, 0.3, 0.3], viewers=2_000)
    async with presence.open_crowd(database, rounds, streams=2_000, viewers=2_000) as crowd:
        await crowd.db.execute("update fleet.settings set max_active_streams_per_viewer = 5")
        states = "select id, is_published from {}.live_streams order by id"
        seen = []
        for each in rounds:
            await crowd.change(each)
            await crowd.sweep_and_recompute(each)
            await crowd.delete_and_rewrite(each)
            ours, textbooks = [
                await crowd.db.fetch(states.format(s)) for s in ("public", "textbook")
            ]
            assert ours == textbooks
            seen.append({row["id"] for row in ours if row["is_published"]})
        assert len(set(map(frozenset, seen))) == len(rounds)


def test_a_response_counts_once_it_is_complete() -> None:
    whole = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nabc"
    assert {complete_status(whole[:end]) for end in range(len(whole))} == {None}
    assert complete_status(whole) == 503
    assert complete_status(b"HTTP/1.1 204 No Content\r\n\r\n") == 204


async def test_pairs_are_interleaved_and_each_side_is_first_in_turn() -> None:
    taken: list[str] = []

    async def sample(name: str, value: float) -> float:
        await asyncio.sleep(0)
        taken.append(name)
        return value

    pairs = await interleave(lambda: sample("ours", 6.0), lambda: sample("reference", 2.0), pairs=2)
    assert taken == ["ours", "reference", "reference", "ours"]
    assert pairs.ratio == 3


@pytest.mark.parametrize(
    ("budget", "value", "is_met"),
    [
        (Budget(2.0), 2.0, True),
        (Budget(2.0), 1.9, False),
        (Budget(1.3, at_most=True), 1.3, True),
        (Budget(1.3, at_most=True), 1.4, False),
    ],
)
def test_a_budget_says_whether_it_is_met(budget: Budget, value: float, *, is_met: bool) -> None:
    row = Row.of_ratio(1, "", Pairs([value], [1.0]), budget=budget, unit="/s")
    assert row.is_met is is_met


def test_the_plot_shows_both_accounts(tmp_path: Path) -> None:
    points = [apply.Point(size, hot, 1.0) for size in (1, 10) for hot in (False, True)]
    draw_cost_per_event(tmp_path / "plot.svg", points, call_us=2.0)
    assert (tmp_path / "plot.svg").stat().st_size > 0
