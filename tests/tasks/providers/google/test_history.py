"""What Google lists of the past as it is read: voids of each app, and orders that we know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.backfills import KnownOrder
from tasks.providers.calls import CallRefused, ProviderThrottled
from tasks.providers.google import history as module
from tasks.providers.google.history import GoogleHistory
from workers.mock_providers.google import PACKAGE, Item, Sold, account_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tasks.providers.history import Page
    from workers.mock_providers.google import GoogleHost, GoogleServer

COINS = "coins_100"
SECOND = "com.example.second"


@pytest_asyncio.fixture(scope="module")
async def made(
    host: GoogleHost, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[GoogleHistory]:
    """The history, for all tests of the module: a client of HTTP takes long to make."""
    account = account_file(tmp_path_factory.mktemp("account"), host.base)
    made = GoogleHistory("google", packages=(PACKAGE, SECOND), account=account, base=host.base)
    made._api._http._interval_s = made._api._access._http._interval_s = 0
    yield made
    await made.close()


@pytest.fixture
def history(google: GoogleServer, made: GoogleHistory) -> GoogleHistory:
    """The history of the account, without an access token yet."""
    made._api._access._token = None
    return made


class Known:
    """The orders that we know."""

    def __init__(self, *sold: Sold) -> None:
        self.orders = [
            KnownOrder(datetime.fromtimestamp(each.bought_s, UTC), no, str(each.order_id), PACKAGE)
            for no, each in enumerate(sold)
        ]

    async def read(self, after: KnownOrder | None, limit: int) -> list[KnownOrder]:
        begin = 0 if after is None else self.orders.index(after) + 1
        return self.orders[begin : begin + limit]


async def read(
    history: GoogleHistory, google: GoogleServer, known: Known | None = None, *, days: float = 20
) -> list[Page]:
    """Read all of so many days."""
    until = datetime.fromtimestamp(google.store.now_s + 1, UTC)
    pages = history.pages(until - timedelta(days=days), until, None, orders=(known or Known()).read)
    return [page async for page in pages]


def ids(pages: list[Page]) -> list[str]:
    return [each.arrival.provider_event_id for page in pages for each in page.events]


def kinds(pages: list[Page]) -> list[str]:
    return [each.arrival.event_type for page in pages for each in page.events]


async def test_voids_are_listed_in_part_too(google: GoogleServer, history: GoogleHistory) -> None:
    part = google.store.sell(Item(COINS, quantity=3))
    google.store.refund_some(part, part.items[0], 1)
    whole = google.store.sell(Item(COINS), package=SECOND)
    google.store.refund(whole, revoke=True)
    found = ids(await read(history, google))
    assert [name.split(":")[0] for name in found] == ["void", "void"]
    assert [name.split(":")[-1] for name in found] == ["1", "all"]
    assert ids(await read(history, google)) == found


async def test_a_void_that_is_listed_late_is_found_by_the_next_run(
    google: GoogleServer, history: GoogleHistory
) -> None:
    google.store.voids_are_late_s = 2 * 86_400
    sold = google.store.sell(Item(COINS))
    google.store.refund(sold, revoke=True)
    assert ids(await read(history, google, days=3)) == []
    google.store.wait(hours=50)
    assert len(ids(await read(history, google, days=3))) == 1


async def test_a_long_list_is_read_page_by_page(
    google: GoogleServer, history: GoogleHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VOIDS_MAX", 2)
    for _ in range(5):
        google.store.refund(google.store.sell(Item(COINS)), revoke=True)
    pages = await read(history, google)
    assert [len(page.events) for page in pages] == [2, 2, 1, 0, 0]
    assert len(set(ids(pages))) == 5
    # Cut after the second page, it goes on with the third.
    until = datetime.fromtimestamp(google.store.now_s + 1, UTC)
    since = until - timedelta(days=20)
    rest = history.pages(since, until, pages[1].cursor, orders=Known().read)
    assert ids([page async for page in rest]) == ids(pages[2:])
    # Only the last page says how far all was seen.
    assert {page.reaches for page in pages[:-1]} == {since}
    assert pages[-1].reaches > since


async def test_a_refund_that_is_in_no_list_is_found_by_its_order(
    google: GoogleServer, history: GoogleHistory
) -> None:
    sold = [google.store.sell(Item(COINS, quantity=2)) for _ in range(4)]
    google.store.refund(sold[0], revoke=False)
    google.store.refund_some(sold[1], sold[1].items[0], 1)
    google.store.voided.clear()
    found = await read(history, google, Known(*sold))
    assert kinds(found) == ["backfill.order"] * 2
    assert ids(found)[0] == f"order:{sold[0].order_id}:REFUNDED"
    # Another part that goes back is another event.
    google.store.refund_some(sold[1], sold[1].items[0], 1)
    google.store.voided.clear()
    assert len(set(ids(await read(history, google, Known(*sold))) + ids(found))) == 3


async def test_an_order_that_google_does_not_know_hides_no_other(
    google: GoogleServer, history: GoogleHistory
) -> None:
    sold = [google.store.sell(Item(COINS)) for _ in range(7)]
    for each in sold:
        google.store.refund(each, revoke=False)
    known = Known(*sold)
    for each in (sold[0], sold[4]):
        del google.store.sold[each.token]
    assert len(ids(await read(history, google, known))) == 5


async def test_a_row_that_cannot_be_read_is_kept_and_hides_no_other(
    google: GoogleServer, history: GoogleHistory
) -> None:
    sold = [google.store.sell(Item(COINS)) for _ in range(3)]
    for each in sold:
        google.store.refund(each, revoke=True)
    google.store.voided[1][1]["voidedTimeMillis"] = "yesterday"
    sold[2].price = ("USD", 0, 5_000_000_000)
    found = await read(history, google, Known(*sold))
    told = [each.arrival for page in found for each in page.events]
    assert sorted((each.event_type, each.reason) for each in told if not each.reason) == [
        ("backfill.order", None),
        ("backfill.order", None),
        ("backfill.voided", None),
        ("backfill.voided", None),
    ]
    assert [each.reason for each in told if each.reason] == ["malformed", "malformed"]


async def test_each_order_is_read_once_a_day(google: GoogleServer, history: GoogleHistory) -> None:
    sold = [google.store.sell(Item(COINS)) for _ in range(30)]
    # The voids come first; they were read when the orders begin.
    voids_are_read = (await read(history, google))[1].cursor
    for each in sold:
        google.store.refund(each, revoke=False)
    known, found = Known(*sold), []
    for _ in range(24):
        until = datetime.fromtimestamp(google.store.now_s, UTC)
        since = until - timedelta(days=3)
        pages = history.pages(since, until, voids_are_read, orders=known.read)
        found += ids([page async for page in pages])
        google.store.wait(hours=1)
    assert len(found) == len(set(found)) == 30


async def test_an_app_that_may_not_be_read_hides_no_other(
    google: GoogleServer, history: GoogleHistory
) -> None:
    google.forbidden_apps.add(PACKAGE)
    refunded = google.store.sell(Item(COINS), package=SECOND)
    hidden = google.store.sell(Item(COINS))
    google.store.refund(refunded, revoke=True)
    google.store.refund(hidden, revoke=True)
    until = datetime.fromtimestamp(google.store.now_s + 1, UTC)
    found: list[Page] = []

    async def read_from(cursor: str | None) -> None:
        since = until - timedelta(days=20)
        async for page in history.pages(since, until, cursor, orders=Known(hidden).read):
            assert page.reaches == since
            found.append(page)

    is_named = f"^{PACKAGE}: 403 userInsufficientPermission$"
    with pytest.raises(CallRefused, match=is_named):
        await read_from(None)
    # Cut after its first page, it goes on and has not forgotten.
    with pytest.raises(CallRefused, match=is_named):
        await read_from(found[0].cursor)
    assert kinds(found) == ["backfill.voided"]
    google.forbidden_apps.clear()
    assert len(ids(await read(history, google, Known(hidden)))) == 3


async def test_a_fault_cuts_the_reading(google: GoogleServer, history: GoogleHistory) -> None:
    google.faults.append("throttled")
    await history._api._access.get()
    with pytest.raises(ProviderThrottled):
        await read(history, google)


@pytest.mark.parametrize("cursor", ["", "{}", '["a"]', "[" * 2_000])
async def test_a_cursor_of_another_release_is_refused(
    google: GoogleServer, history: GoogleHistory, cursor: str
) -> None:
    until = datetime.now(UTC)
    with pytest.raises(CallRefused):
        async for _ in history.pages(
            until - timedelta(days=1), until, cursor or "x", orders=Known().read
        ):
            pass
