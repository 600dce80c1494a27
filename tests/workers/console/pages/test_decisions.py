"""Two people at the desk: who decides what, one after the other or at the same moment."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import pytest_asyncio
from starlette.requests import Request

from tests.db.books import Payment
from tests.db.stores.sales import Sale
from tests.workers.console.holdings import (
    BUYER,
    HELD_EVENT,
    PARK,
    Holdings,
    ask,
    fields_of,
    hold,
    sign_in,
)
from tests.workers.console.site import BASE, post, site
from workers.console.origin import origin_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.workers.console.site import Site

pytestmark = pytest.mark.requirement("C7", "H10")

GOES_ON = 303
CONFLICT = 409
WHOLE = 3_000_000


@pytest_asyncio.fixture
async def people(
    console: Site, owner: Connection
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Ann's and Ben's browsers; both approve."""
    found = [await sign_in(console, owner, name, "approver") for name in ("ann", "ben")]
    yield found[0], found[1]
    for browser in found:
        await browser.aclose()


@pytest_asyncio.fixture(autouse=True)
async def parked(owner: Connection) -> None:
    """The books apply what is pending, and can't read an event of the fixture."""
    await owner.execute(PARK.format("waiting"))


@pytest_asyncio.fixture
async def two_approve(owner: Connection) -> AsyncIterator[None]:
    """The rule that two people approve what is worth more than 10,000 US dollars."""
    rule = "update fleet.settings set second_approver_above_usd = $1"
    await owner.execute(rule, 10_000)
    yield
    await owner.execute(rule, None)


async def open_form(
    browser: httpx.AsyncClient, purchase_id: int, verb: str, **changes: str
) -> tuple[str, dict[str, str]]:
    """The address and the fields of a form, as the person has filled it in."""
    page = await browser.get(f"/approvals/purchases/{purchase_id}")
    assert page.status_code == 200, page.text
    path = f"/approvals/purchases/{purchase_id}/{verb}"
    return path, fields_of(page.text, path) | {"reason": "she called"} | changes


async def decided(owner: Connection, purchase_id: int) -> list[tuple[str, str]]:
    rows = await owner.fetch(
        "select outcome, who from fleet.decisions where purchase_id = $1 order by id", purchase_id
    )
    return [(row[0], row[1]) for row in rows]


async def coins(owner: Connection) -> int:
    return await Holdings(owner).coins(BUYER)


async def test_an_approval_credits_and_is_kept_with_who_why_and_from_where(
    people: tuple[httpx.AsyncClient, ...], owner: Connection
) -> None:
    purchase_id, _ = await hold(owner)
    before = await coins(owner)
    path, fields = await open_form(people[0], purchase_id, "approve")
    answer = await post(people[0], path, fields)
    assert answer.status_code == GOES_ON, answer.text
    assert await coins(owner) == before + WHOLE
    kept = await owner.fetchrow(
        "select who, reason, origin from fleet.decisions where purchase_id = $1", purchase_id
    )
    assert tuple(kept or ()) == ("ann", "she called", "console, 127.0.0.1")
    shown = (await people[0].get(answer.headers["location"])).text
    assert "Done: ann approved it for 3,000,000 coins" in shown
    assert "<form action" not in shown.partition("<main")[2].partition("</main")[0]


async def test_a_page_says_exactly_what_each_decision_does(
    people: tuple[httpx.AsyncClient, ...], owner: Connection
) -> None:
    purchase_id, payment = await hold(owner)
    await Holdings(owner).apply_one(payment.refund(1_000_000))
    before = await coins(owner)
    page = (await people[0].get(f"/approvals/purchases/{purchase_id}")).text
    for said in (
        "It is worth $30,000.00; above $25,000.00 a person decides.",
        "3,000,000 coins are credited and 1,000,000 coins taken back for what was refunded",
        f"the buyer&#39;s balance is {before + 2_000_000:,} then",
        "stripe is asked to refund 20,000.00 USD, and no coins move",
        "nothing is refunded, no coins move, and it is closed at once",
        f"https://dashboard.stripe.com/test/payments/{payment.intent}",
    ):
        assert said in page
    assert await decided(owner, purchase_id) == []


async def test_two_people_approve_and_the_first_twice_is_refused(
    people: tuple[httpx.AsyncClient, ...], owner: Connection, two_approve: None
) -> None:
    ann, ben = people
    purchase_id, _ = await hold(owner)
    before = await coins(owner)
    path, fields = await open_form(ann, purchase_id, "approve")
    assert (await post(ann, path, fields)).status_code == GOES_ON
    again = await post(ann, path, fields)
    assert again.status_code == CONFLICT
    assert "you have decided it before, and nobody decides twice" in again.text
    page = (await ann.get(f"/approvals/purchases/{purchase_id}")).text
    assert "It waits for a second person: you have decided it" in page
    assert "<form action" not in page.partition("<main")[2].partition("</main")[0]
    assert await coins(owner) == before
    assert "approved by ann" in (await ben.get("/approvals")).text
    path, fields = await open_form(ben, purchase_id, "approve")
    assert (await post(ben, path, fields)).status_code == GOES_ON
    assert await coins(owner) == before + WHOLE
    assert await decided(owner, purchase_id) == [("first_approval", "ann"), ("granted", "ben")]


async def test_a_form_that_is_stale_is_answered_with_what_happened_and_does_nothing(
    people: tuple[httpx.AsyncClient, ...], owner: Connection, two_approve: None
) -> None:
    ann, ben = people
    purchase_id, _ = await hold(owner)
    before = await coins(owner)
    path, of_ben = await open_form(ben, purchase_id, "approve", reason="I know her")
    _, of_ann = await open_form(ann, purchase_id, "approve")
    await post(ann, path, of_ann)
    # Ben saw that his approval would be the first. It would credit now, which he did not see.
    late = await post(ben, path, of_ben)
    assert late.status_code == CONFLICT
    assert "Nothing was done. Since you opened the page: ann approved it first" in late.text
    assert "3,000,000 coins are credited" in late.text
    assert 'value="I know her"' in late.text
    assert await coins(owner) == before
    assert await decided(owner, purchase_id) == [("first_approval", "ann")]
    # The answer is a form of what is there now.
    fields = fields_of(late.text, path)
    assert (await post(ben, path, fields)).status_code == GOES_ON
    assert await coins(owner) == before + WHOLE


@pytest.mark.long
async def test_a_refund_that_came_meanwhile_is_shown_before_anything_is_credited(
    people: tuple[httpx.AsyncClient, ...], owner: Connection
) -> None:
    purchase_id, payment = await hold(owner)
    path, fields = await open_form(people[0], purchase_id, "approve")
    await Holdings(owner).apply_one(payment.refund(1_000_000))
    late = await post(people[0], path, fields)
    assert late.status_code == CONFLICT
    assert "what the decision does has changed" in late.text
    assert "1,000,000 coins taken back" in late.text
    assert await decided(owner, purchase_id) == []
    await Holdings(owner).apply_one(payment.refund(2_000_000, "rest"))
    gone = await post(people[0], path, fields)
    assert gone.status_code == CONFLICT
    assert "its payment was given back meanwhile, it is refunded" in gone.text


@pytest.mark.long_but_first
@pytest.mark.parametrize("verbs", [("approve", "approve"), ("approve", "reject")])
async def test_of_two_people_at_one_moment_one_decides_and_the_other_sees_it(
    people: tuple[httpx.AsyncClient, ...], owner: Connection, verbs: tuple[str, str]
) -> None:
    purchase_id, _ = await hold(owner)
    before = await coins(owner)
    forms = [
        await open_form(browser, purchase_id, verb)
        for browser, verb in zip(people, verbs, strict=True)
    ]
    answers = await asyncio.gather(
        *(post(browser, *form) for browser, form in zip(people, forms, strict=True))
    )
    assert sorted(each.status_code for each in answers) == [GOES_ON, CONFLICT]
    made = await decided(owner, purchase_id)
    assert len(made) == 1
    (late,) = (each.text for each in answers if each.status_code == CONFLICT)
    assert f"Since you opened the page: {made[0][1]} " in late
    granted = WHOLE if made[0][0] == "granted" else 0
    assert await coins(owner) == before + granted


@pytest.mark.long
async def test_of_two_first_approvals_at_one_moment_one_is_the_first(
    people: tuple[httpx.AsyncClient, ...], owner: Connection, two_approve: None
) -> None:
    purchase_id, _ = await hold(owner)
    before = await coins(owner)
    forms = [await open_form(browser, purchase_id, "approve") for browser in people]
    answers = await asyncio.gather(
        *(post(browser, *form) for browser, form in zip(people, forms, strict=True))
    )
    assert sorted(each.status_code for each in answers) == [GOES_ON, CONFLICT]
    assert [each[0] for each in await decided(owner, purchase_id)] == ["first_approval"]
    assert await coins(owner) == before


@pytest.mark.long
async def test_a_rejection_asks_for_its_refund_or_closes_at_once(
    people: tuple[httpx.AsyncClient, ...], owner: Connection
) -> None:
    for refund, outcome in (("yes", "refund_requested"), ("no", "closed")):
        purchase_id, _ = await hold(owner)
        path, fields = await open_form(people[0], purchase_id, "reject", refund=refund)
        assert (await post(people[0], path, fields)).status_code == GOES_ON
        assert await decided(owner, purchase_id) == [(outcome, "ann")]
        listed = (await people[1].get("/approvals")).text
        assert (f"purchase {purchase_id}<" in listed) == (refund == "yes")


@pytest.mark.long
async def test_fewer_coins_are_for_a_wrong_amount(
    people: tuple[httpx.AsyncClient, ...], owner: Connection
) -> None:
    payment = Payment()
    await Holdings(owner).apply_one(payment.bought(BUYER, amount_minor=90))
    purchase_id = await owner.fetchval("select max(id) from public.coin_purchases")
    before = await coins(owner)
    for typed, status in (("101", 400), ("x", 400), ("-1", 400), ("9" * 19, 400), ("90", GOES_ON)):
        path, fields = await open_form(people[0], purchase_id, "approve", coins=typed)
        assert (await post(people[0], path, fields)).status_code == status, typed
    assert await coins(owner) == before + 90


@pytest.mark.long_but_first
@pytest.mark.parametrize("lacks", ["seen", "reason"])
async def test_a_form_without_a_reason_or_what_was_seen_does_nothing(
    people: tuple[httpx.AsyncClient, ...], owner: Connection, lacks: str
) -> None:
    purchase_id, _ = await hold(owner)
    path, fields = await open_form(people[0], purchase_id, "approve")
    answer = await post(people[0], path, {**fields, lacks: ""})
    assert answer.status_code == 400
    assert await decided(owner, purchase_id) == []


async def test_a_payment_of_nobody_is_attributed_once_and_judged_by_all_rules(
    people: tuple[httpx.AsyncClient, ...], owner: Connection
) -> None:
    ann, ben = people
    books = Holdings(owner)
    # BUYER bought too often within a minute by now.
    buyer = await books.profile()
    (event_id,) = await books.receive(Payment().bought(None, buyer_unreadable=True))
    await books.work()
    path = f"/approvals/events/{event_id}/attribute"
    page = (await ann.get(f"/approvals/events/{event_id}")).text
    fields = fields_of(page, path) | {"reason": "her receipt", "profile_id": str(buyer)}
    unknown = await post(ann, path, fields | {"profile_id": str(UUID(int=7))})
    assert (unknown.status_code, "no profile has this id" in unknown.text) == (400, True)
    assert (await post(ann, path, fields)).status_code == GOES_ON
    late = await post(ben, path, fields)
    assert late.status_code == CONFLICT
    assert "ann said whose payment it is" in late.text
    books.now = await owner.fetchval("select clock_timestamp()")
    await books.work()
    assert await books.coins(buyer) == 100


@pytest.mark.long
async def test_a_payment_of_nobody_is_rejected_with_or_without_a_refund(
    people: tuple[httpx.AsyncClient, ...], owner: Connection
) -> None:
    path = f"/approvals/events/{HELD_EVENT}/reject"
    page = (await people[0].get(f"/approvals/events/{HELD_EVENT}")).text
    fields = fields_of(page, path) | {"reason": "nobody's", "refund": "no"}
    assert (await post(people[0], path, fields)).status_code == GOES_ON
    late = await post(people[1], path, fields)
    assert late.status_code == CONFLICT
    assert "ann rejected it, without a refund" in late.text


@pytest.mark.long
async def test_a_store_takes_one_answer(
    people: tuple[httpx.AsyncClient, ...], owner: Connection
) -> None:
    ann, ben = people
    number = await ask(Holdings(owner), Sale("google"))
    path = f"/approvals/inquiries/{number}/answer"
    page = (await ann.get("/approvals/inquiries")).text
    assert "If nobody answers, the store decides alone" in page
    fields = fields_of(page, path) | {"reason": "spent", "choice": "decline"}
    stale = await post(ann, path, fields | {"seen": "1;confirmed;None;True;0;x"})
    assert stale.status_code == CONFLICT
    answers = await asyncio.gather(post(ann, path, fields), post(ben, path, fields))
    assert sorted(each.status_code for each in answers) == [GOES_ON, CONFLICT]
    noted = await owner.fetch(
        "select who, origin from fleet.operator_actions where detail ->> 'inquiry' = $1",
        str(number),
    )
    assert len(noted) == 1
    assert noted[0]["origin"] == "console, 127.0.0.1"
    wrong = await post(ann, path, fields | {"choice": "grant-full"})
    assert wrong.status_code == 400


@pytest.mark.long
async def test_a_release_is_of_what_was_seen(
    people: tuple[httpx.AsyncClient, ...], owner: Connection
) -> None:
    books, payment = Holdings(owner), Payment()
    await books.apply(payment.bought(BUYER), payment.freeze("issfr_a"))
    purchase_id = await owner.fetchval("select max(id) from public.coin_purchases")
    path = f"/approvals/purchases/{purchase_id}/release"
    fields = fields_of((await people[0].get("/approvals/frozen")).text, path) | {"reason": "hers"}
    await books.apply_one(payment.review())
    late = await post(people[0], path, fields)
    assert late.status_code == CONFLICT
    assert "review prv" in late.text
    page = (await people[0].get("/approvals/frozen")).text
    fields = fields_of(page, path) | {"reason": "hers"}
    assert (await post(people[0], path, fields)).status_code == GOES_ON
    assert (await post(people[1], path, fields)).status_code == CONFLICT
    assert "nothing freezes it" in (await post(people[1], path, fields)).text


async def test_who_may_not_decide_sees_all_but_names_addresses_and_forms(
    viewer: httpx.AsyncClient, owner: Connection
) -> None:
    purchase_id, _ = await hold(owner)
    await owner.execute(
        "update public.coin_purchases set ip_address = '192.0.2.77' where id = $1", purchase_id
    )
    page = (await viewer.get(f"/approvals/purchases/{purchase_id}")).text
    assert "3,000,000 coins are credited" in page
    assert "192.0.2.77" not in page
    assert 'method="post"' not in page.partition("<main")[2]


@pytest.mark.long
async def test_an_approver_without_a_second_factor_is_told_what_is_missing(
    console_database: Database, owner: Connection
) -> None:
    purchase_id, _ = await hold(owner)
    async with site(console_database, console_approval_aal="aal2") as strict:
        browser = await sign_in(strict, owner, "ann", "approver")
        page = (await browser.get(f"/approvals/purchases/{purchase_id}")).text
        assert "deciding asks for one: sign in again with the code of your app" in page
        path = f"/approvals/purchases/{purchase_id}/approve"
        assert (await post(browser, path, {"reason": "why", "seen": "x"})).status_code == 403
        await browser.aclose()


@pytest.mark.parametrize(
    ("origin", "forwarded", "told"),
    [
        (None, ["192.0.2.1"], "console, 127.0.0.1"),
        (BASE, ["198.51.100.9, 192.0.2.1"], "console, 192.0.2.1 by the proxy 127.0.0.1"),
        # Some proxies add a line of their own below the browser's.
        (BASE, ["198.51.100.9", "192.0.2.1"], "console, 192.0.2.1 by the proxy 127.0.0.1"),
        (BASE, [], "console, the proxy 127.0.0.1"),
        (BASE, ["<script>"], "console, the proxy 127.0.0.1"),
        (BASE, ["fe80::1%by the owner"], "console, the proxy 127.0.0.1"),
        (BASE, ["2001:db8::1"], "console, 2001:db8::1 by the proxy 127.0.0.1"),
    ],
)
def test_from_where_is_what_the_last_proxy_says_if_there_is_one(
    origin: str | None, forwarded: list[str], told: str
) -> None:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    scope = {"type": "http", "client": ("127.0.0.1", 5), "headers": headers}
    desk: Any = SimpleNamespace(settings=SimpleNamespace(console_origin=origin))
    assert origin_of(desk, Request(scope)) == told
