"""`coinfleet purchases` as an operator types it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from db.facts import LineItem, StoreInquiry
from tests.db.books import PRICE_LIST, Books, Payment
from tests.db.stores.sales import PRICE_LIST as STORES_PRICE_LIST
from tests.db.stores.sales import Sale
from tests.workers.cli.operators import coinfleet
from workers.cli import make_app
from workers.cli.endings import run_command

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database

pytestmark = pytest.mark.requirement("C7", "H10")

BUYER = UUID("00000000-0000-4000-8000-000000000001")
LARGE = Payment()


class Ended(NamedTuple):
    """What is seen of a command that has ended."""

    returncode: int
    stdout: str
    stderr: str


class Purchases(Protocol):
    """Runs the command."""

    async def __call__(self, *words: str, login: str = "operator", columns: str = "") -> Ended:
        """Run it with these words as this login."""
        ...


@pytest.fixture
def purchases(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Purchases:
    """Runs `coinfleet purchases` in this process, as a login: its start would take a second."""

    async def run(*words: str, login: str = "operator", columns: str = "") -> Ended:
        monkeypatch.setenv("OPERATOR_DATABASE_URL", database.url(login))
        monkeypatch.setenv("COLUMNS", columns)

        def command() -> None:
            make_app(["purchases"])(["purchases", *words], prog_name="coinfleet")

        # In a thread, for it brings its own loop.
        code = await asyncio.to_thread(run_command, command, as_json="--json" in words)
        return Ended(code, *capsys.readouterr())

    return run


async def purchase_of(db: Connection, payment: Payment) -> int:
    found: int = await db.fetchval(
        "select id from public.coin_purchases where provider_payment_id = $1", payment.intent
    )
    return found


@pytest.fixture
def books(db: Connection) -> Books:
    """Books of the test's own, which commands look at from outside."""
    return Books(db)


async def settle(books: Books) -> int:
    """A held purchase of 30,000.00 and an event of nobody; gives the purchase's id."""
    await books.db.execute(PRICE_LIST)
    await books.db.execute("insert into auth.users (id) values ($1)", BUYER)
    await books.apply(LARGE.worth(BUYER, 30_000), Payment().bought(None, buyer_unreadable=True))
    return await purchase_of(books.db, LARGE)


async def test_what_is_held_is_listed_and_needs_a_person(
    purchases: Purchases, books: Books
) -> None:
    nothing = await purchases("held")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "nothing is held\n", "")
    purchase_id = await settle(books)
    listed = await purchases("held")
    assert listed.returncode == 1, listed.stderr
    header, large, nobodys = listed.stdout.splitlines()
    assert header.split()[:3] == ["Held", "reason", "amount"]
    assert f"{purchase_id} " in large
    assert "needs_approval  30,000.00 USD  $30,000.00" in large
    assert "event 2" in nobodys
    assert "a person" in nobodys
    told = json.loads((await purchases("held", "--json")).stdout)
    assert [each["purchase_id"] for each in told["held"]] == [purchase_id, None]
    narrow = await purchases("held", columns="40")
    assert max(map(len, narrow.stdout.splitlines())) <= 48


async def test_a_purchase_is_shown_with_what_each_decision_would_do(
    purchases: Purchases, books: Books
) -> None:
    purchase_id = await settle(books)
    await books.apply_one(LARGE.refund(1_000_000))
    shown = await purchases("show", str(purchase_id))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[0] == f"Purchase {purchase_id} · held: needs_approval"
    for line in (
        "It is worth $30,000.00; above $25,000.00 a person decides.",
        "refunded so far: 10,000.00 USD",
        (
            "If you approve it, 3,000,000 coins are credited and 1,000,000 coins taken back for"
            " what was refunded; the buyer's balance is 2,000,000 then."
        ),
        (
            "If you reject it, stripe is asked to refund 20,000.00 USD, and no coins move. It stays"
            " on the list until the refund's event comes."
        ),
    ):
        assert line in shown.stdout
    assert await books.coins(BUYER) == 0
    assert await books.db.fetchval("select count(*) from fleet.decisions") == 0
    told = json.loads((await purchases("show", str(purchase_id), "--json")).stdout)
    assert told["approve"]["foreseen"]["balance_after"] == 2_000_000


async def test_an_approval_credits_and_a_second_is_told_what_happened(
    purchases: Purchases, books: Books
) -> None:
    purchase_id = str(await settle(books))
    words = ("approve", purchase_id, "--reason", "she called")
    approved = await purchases(*words)
    assert (approved.returncode, approved.stderr) == (0, "")
    assert approved.stdout == (
        f"approved; 3,000,000 coins for {BUYER}, whose balance is 3,000,000\n"
    )
    assert await books.coins(BUYER) == 3_000_000
    for login in ("operator", "owner"):
        late = await purchases("reject", purchase_id, "--reason", "no", login=login)
        assert late.returncode == 1
        assert late.stderr.startswith(
            f"coinfleet: purchase {purchase_id}: coinfleet_operator approved it for 3,000,000"
            " coins on "
        )
        assert late.stderr.endswith(": she called\n")
    shown = await purchases("show", purchase_id)
    assert "It is confirmed, and not held." in shown.stdout


async def test_a_rejection_waits_for_its_refund(purchases: Purchases, books: Books) -> None:
    purchase_id = str(await settle(books))
    rejected = await purchases("reject", purchase_id, "--reason", "a stolen card")
    assert (rejected.returncode, rejected.stderr) == (0, "")
    assert rejected.stdout == (
        f"rejected; purchase {purchase_id} is closed when the event of its refund comes\n"
    )
    listed = json.loads((await purchases("held", "--json")).stdout)
    assert [each["waits_for"] for each in listed["held"]] == ["refund", "decision"]
    await books.apply_one(LARGE.refund(3_000_000))
    late = await purchases("approve", purchase_id, "--reason", "no", login="owner")
    assert late.returncode == 1
    assert "coinfleet_operator rejected it, with a refund on" in late.stderr


async def test_a_payment_that_went_back_meanwhile_is_told_so(
    purchases: Purchases, books: Books
) -> None:
    purchase_id = str(await settle(books))
    await books.apply_one(LARGE.refund(3_000_000))
    late = await purchases("approve", purchase_id, "--reason", "no", "--json")
    assert late.returncode == 1
    said = f"purchase {purchase_id}: its payment was given back meanwhile, it is refunded"
    assert json.loads(late.stdout)["error"] == said


async def test_a_granted_purchase_is_called_granted_to_whoever_decides_it(
    purchases: Purchases, books: Books
) -> None:
    await settle(books)
    small = Payment()
    await books.apply_one(small.bought(BUYER))
    number = str(await purchase_of(books.db, small))
    for verb in ("approve", "reject"):
        late = await purchases(verb, number, "--reason", "no")
        said = f"coinfleet: purchase {number}: it is granted, and not held\n"
        assert (late.returncode, late.stderr) == (1, said)


async def test_a_purchase_that_nothing_prices_in_dollars_says_what_is_missing(
    purchases: Purchases, books: Books
) -> None:
    await settle(books)
    await books.db.execute(STORES_PRICE_LIST)
    sale = Sale("google")
    await books.apply_one(sale.sold(BUYER, LineItem(product_id="coins.9", quantity=1)))
    number = await books.db.fetchval(
        "select id from public.coin_purchases where hold_reason = 'no_fx_rate'"
    )
    shown = (await purchases("show", str(number))).stdout
    assert "its store told no price, and the price list has none in usd" in shown
    assert "None" not in shown


async def test_an_event_without_a_buyer_is_attributed_or_rejected(
    purchases: Purchases, books: Books
) -> None:
    await settle(books)
    event = ("2", "--event", "--reason", "her receipt")
    attributed = await purchases("approve", *event, "--buyer", str(BUYER))
    assert attributed.stdout == "attributed; a worker judges it now by all rules\n"
    await books.work()
    assert await books.coins(BUYER) == 100
    late = await purchases("reject", *event)
    assert (late.returncode, late.stdout) == (1, "")
    assert late.stderr.startswith("coinfleet: event 2: It was granted, rejected, refunded")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("approve", "1"), "Missing option '--reason'"),
        (("approve", "1", "--reason", " "), "must say why"),
        (("approve", "1", "--event", "--reason", "a"), "an event needs --buyer"),
        (("approve", "404", "--reason", "a"), "coinfleet: no purchase has the id 404"),
        (("show", "404"), "coinfleet: no purchase has the id 404"),
        (("reject", "404", "--event", "--reason", "a"), "no event of a payment has the number 404"),
    ],
    ids=" ".join,
)
async def test_what_cannot_be_meant_exits_2(
    purchases: Purchases, words: tuple[str, ...], said: str
) -> None:
    ended = await purchases(*words)
    assert ended.returncode == 2
    assert said in ended.stderr


async def test_who_may_not_decide_is_told_whose_address_is_needed(
    purchases: Purchases, database: Database
) -> None:
    ended = await purchases("held", login="worker")
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    place = urlsplit(database.url()).netloc.rpartition("@")[2]
    assert f"{place} logged us in as coinfleet_worker, which may not decide" in line
    assert "OPERATOR_DATABASE_URL" in line


def test_a_database_without_a_schema_is_named(empty_database: Database) -> None:
    url = empty_database.url()
    ended = coinfleet("purchases", "held", OPERATOR_DATABASE_URL=url)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    place = urlsplit(url).netloc.rpartition("@")[2]
    assert f"{urlsplit(url).path[1:]} at {place}" in line
    assert "coinfleet migrate" in line


def test_without_a_database_there_is_one_line_and_json() -> None:
    url = "postgresql://nobody:secret@127.0.0.1:1/nowhere"
    ended = coinfleet("purchases", "held", "--json", OPERATOR_DATABASE_URL=url)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "secret" not in ended.stderr
    assert "127.0.0.1:1" in json.loads(ended.stdout)["error"]


async def test_a_stores_purchase_is_shown_with_what_its_store_can_do(
    purchases: Purchases, books: Books
) -> None:
    await settle(books)
    await books.db.execute(STORES_PRICE_LIST)
    ids = {}
    for sale in (Sale("apple"), Sale("google")):
        await books.apply_one(sale.sold(BUYER, units=30_000))
        ids[sale.provider] = await books.db.fetchval(
            "select id from public.coin_purchases where provider_payment_id = $1", sale.name
        )
    apple = (await purchases("show", str(ids["apple"]))).stdout
    assert "paid: apple does not say, worth $30,000.00" in apple
    assert "With --without-refund it is closed at once: the customer must ask Apple." in apple
    assert "it is told that nothing was delivered, if customers agreed to that" in apple
    google = (await purchases("show", str(ids["google"]))).stdout
    assert "If you reject it, google is asked to refund it, and no coins move." in google
    listed = await purchases("held")
    assert "$30,000.00" in listed.stdout
    refused = await purchases("reject", str(ids["apple"]), "--reason", "no")
    assert refused.returncode != 0
    assert "Apple refunds only customers who ask Apple" in refused.stderr
    closed = await purchases("reject", str(ids["apple"]), "--reason", "no", "--without-refund")
    assert closed.stdout == "rejected, without a refund\n"


async def test_a_purchase_that_a_tester_made_is_shown_as_one(
    purchases: Purchases, books: Books
) -> None:
    await settle(books)
    await books.db.execute(STORES_PRICE_LIST)
    await books.db.execute("update fleet.settings set store_sandbox = 'grant'")
    real, test = Sale("google"), Sale("google")
    await books.apply(real.sold(BUYER), test.sold(BUYER, is_sandbox=True))
    for sale, is_said in ((real, False), (test, True)):
        number = await books.db.fetchval(
            "select id from public.coin_purchases where provider_payment_id = $1", sale.name
        )
        shown = (await purchases("show", str(number))).stdout
        assert ("· a test of Google's, no money was paid" in shown) == is_said


async def ask_google(books: Books) -> int:
    """Let Google ask about an order of 100 coins; gives the question's number."""
    sale = Sale("google")
    await books.db.execute(STORES_PRICE_LIST)
    await books.db.execute("insert into auth.users (id) values ($1)", BUYER)
    asked_at = await books.db.fetchval("select clock_timestamp() - interval '1 hour'")
    await books.apply(
        sale.sold(BUYER),
        StoreInquiry(
            payment_keys=[sale.order],
            inquiry_id="s3cret",
            store_app=sale.app,
            asked_at=asked_at,
            deadline=asked_at + timedelta(hours=24),
            reason="CHARGEBACK",
            told=None,
        ),
    )
    found: int = await books.db.fetchval("select id from fleet.store_inquiries")
    return found


async def test_what_stores_ask_is_listed_with_what_each_choice_does(
    purchases: Purchases, books: Books
) -> None:
    nothing = await purchases("inquiries")
    assert (nothing.returncode, nothing.stdout) == (0, "no store asks anything\n")
    number = await ask_google(books)
    listed = await purchases("inquiries")
    assert listed.returncode == 1, listed.stderr
    assert "CHARGEBACK" in listed.stdout
    assert f"{number}: purchase" in listed.stdout
    assert "its coins were delivered, 0 % of them can't be taken back now" in listed.stdout
    assert "approve: Google is told that it should refund the order" in listed.stdout
    assert "s3cret" not in listed.stdout
    [told] = json.loads((await purchases("inquiries", "--json")).stdout)["inquiries"]
    assert (told["id"], told["blocked_by"]) == (number, None)


async def test_a_person_answers_a_store_once(purchases: Purchases, books: Books) -> None:
    number = str(await ask_google(books))
    for wrong in (["maybe"], ["approve", "--reason", " "], ["approve"]):
        reason = [] if "--reason" in wrong or wrong == ["approve"] else ["--reason", "why"]
        assert (await purchases("answer", number, *wrong, *reason)).returncode == 2
    answered = await purchases("answer", number, "approve", "--reason", "a child bought it")
    assert answered.returncode == 0, answered.stderr
    assert "google is told approve by call" in answered.stdout
    again = await purchases("answer", number, "decline", "--reason", "why")
    assert (again.returncode, again.stdout) == (1, "")
    assert "you have answered it before" in again.stderr
    other = await purchases("answer", number, "decline", "--reason", "why", login="owner")
    assert other.returncode == 1
    assert "answered meanwhile" in other.stderr
    unknown = await purchases("answer", "999", "decline", "--reason", "why")
    assert "no question of a store has the id 999" in unknown.stderr
    assert (await purchases("inquiries")).returncode == 0
