"""`coinfleet explain` as an operator types it: the story of a payment, whichever id is typed."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest
import pytest_asyncio

from db.facts import Gift
from tests.db.books import COINS, PRICE_LIST, ROSE, Books, Payment

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.workers.cli.conftest import Ended, Typed

PAID = Payment()


class Explain(Protocol):
    """Runs the command."""

    async def __call__(self, *words: str) -> Ended:
        """Run it with these words."""
        ...


class Known(NamedTuple):
    """Who took part, and in what."""

    buyer: UUID
    streamer: UUID
    purchase_id: int
    gift_id: int
    event_id: int


@pytest.fixture
def explain(typed: Typed) -> Explain:
    """Runs `coinfleet explain`."""
    return partial(typed, "explain")


@pytest_asyncio.fixture
async def known(db: Connection) -> Known:
    """A purchase of 100 coins: 50 were refunded, 20 given away, 3 added by a correction."""
    await db.execute(PRICE_LIST)
    books = Books(db)
    buyer, streamer = await books.profiles(2)
    (event_id,) = await books.receive(PAID.bought(buyer), ids=["evt_paid"])
    await books.work()
    await books.apply_one(PAID.refund(50, "re_half"))
    await books.apply_one(Gift(sender_id=buyer, recipient_id=streamer, gift_type=ROSE, quantity=20))
    await books.adjust(buyer, 3)
    purchase_id = await db.fetchval("select id from public.coin_purchases")
    gift_id = await db.fetchval("select id from public.gifts")
    return Known(buyer, streamer, purchase_id, gift_id, event_id)


async def test_each_name_of_a_payment_tells_its_story(explain: Explain, known: Known) -> None:
    stories = []
    for name in (
        PAID.intent,
        PAID.charge,
        f"re_half_{PAID.number}",
        "evt_paid",
        f"purchase:{known.purchase_id}",
    ):
        told = await explain(name)
        assert told.code == 0, told.err
        heading, _, story = told.out.partition("\n")
        assert heading.split(" ")[0] in {"payment", "refund", "event", "purchase"}
        stories.append(story)
    assert len(set(stories)) == 1
    for words in (
        "stripe test evt_paid; it is applied",
        f"purchase {known.purchase_id} of {known.buyer}: 100 coins (1 x coins_100) for 1.00 USD",
        f"{known.buyer} gets 100 coins (purchase); coins are 100 then",
        f"refund re_half_{PAID.number} of 0.50 USD: succeeded",
        f"{known.buyer} loses 50 coins (refund); coins are 50 then",
        f"{known.buyer} has 33 coins",
        f"a name of the payment: stripe {PAID.charge}",
    ):
        assert words in stories[0], stories[0]
    told = stories[0].splitlines()
    assert len(set(told)) == len(told)
    # Other entries of the buyer are no part of it.
    assert "(gift)" not in stories[0]
    assert "(adjustment)" not in stories[0]
    granted, taken = (stories[0].index(f"{verb} {coins} coins") for verb, coins in VERBS)
    assert granted < taken


VERBS = (("gets", COINS), ("loses", 50))


async def test_a_gift_is_told_with_what_both_get(explain: Explain, known: Known) -> None:
    told = await explain(f"gift:{known.gift_id}")
    assert told.code == 0, told.err
    for words in (
        f"{known.buyer} gave {known.streamer} 20 x rose: 20 coins, of them 14 for the streamer",
        f"{known.buyer} loses 20 coins (gift); coins are 30 then",
        f"{known.streamer} gets 14 earnings (gift); earnings are 14 then",
    ):
        assert words in told.out, told.out
    assert told.out.count(" entry ") == 2


async def test_an_event_that_was_never_applied_tells_the_story_of_its_payment(
    explain: Explain, known: Known, db: Connection
) -> None:
    refund = {
        "id": "re_dead",
        "object": "refund",
        "amount": 1,
        "currency": "usd",
        "status": "succeeded",
        "payment_intent": PAID.intent,
        "charge": PAID.charge,
        "created": 1_777_888_000,
    }
    event = {
        "id": "evt_dead",
        "object": "event",
        "type": "refund.created",
        "created": 1_777_888_000,
        "livemode": False,
        "data": {"object": refund},
    }
    await db.execute(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
        " payload_sha256, state, reason, last_error, processed_at) values ('stripe', 'evt_dead',"
        " 'refund.created', convert_to($1, 'UTF8'), '', 'dead', 'failed', 'XX000: 42', now())",
        json.dumps(event),
    )
    told = await explain("evt_dead")
    assert "refund.created evt_dead; it is dead (failed)" in told.out
    assert "last error: XX000;" in told.out or "last error: XX000\n" in told.out
    assert f"purchase {known.purchase_id} of" in told.out


async def test_a_profile_is_told_with_its_entries_and_balance(
    explain: Explain, known: Known
) -> None:
    told = await explain(str(known.buyer).upper())
    assert told.code == 0, told.err
    assert f"{known.buyer} signed up" in told.out
    assert f"{known.buyer} has 33 coins and 0 earned" in told.out
    assert "gets 3 coins" in told.out


async def test_a_decision_is_told_with_its_reason_and_its_call(
    explain: Explain, known: Known, db: Connection
) -> None:
    large = Payment()
    books = Books(db)
    await books.apply(large.worth(known.buyer, 30_000))
    purchase_id = await db.fetchval(
        "select id from public.coin_purchases where provider_payment_id = $1", large.intent
    )
    await db.fetch(
        "select * from public.reject_coin_purchase($1, null, 'a stolen card')", purchase_id
    )
    decision_id = await db.fetchval("select id from fleet.decisions")
    for name in (large.charge, f"decision:{decision_id}"):
        told = await explain(name)
        assert "said reject (held: needs_approval), because “a stolen card”" in told.out
        assert "stripe.refund: pending after 0 attempts" in told.out
    call = await explain(f"coinfleet:refund:{decision_id}")
    assert "stripe.refund: pending" in call.out


@pytest.mark.requirement("I1")
async def test_a_correction_is_told_with_who_and_why(
    explain: Explain, known: Known, db: Connection
) -> None:
    await db.execute(
        "select * from fleet.adjust_balance($1, -4, 'ann', 'a gift of ours', 'key-1')", known.buyer
    )
    told = await explain(str(known.buyer))
    assert "ann corrected the balance by -4 coins: “a gift of ours”" in told.out
    assert f"{known.buyer} loses 4 coins" in told.out


async def test_a_replay_is_told_with_who_and_why(
    explain: Explain, known: Known, db: Connection
) -> None:
    await db.execute(
        "select fleet.replay_events(array[$1::bigint], array['applied'], 'ann@desk', 'why not',"
        " '{}')",
        known.event_id,
    )
    told = await explain("evt_paid")
    assert told.out.count("ann@desk had 1 event replayed: “why not”") == 1
    assert "it is pending" in told.out


async def test_a_call_that_was_made_again_says_by_whom(explain: Explain, db: Connection) -> None:
    call_id = await db.fetchval(
        "insert into fleet.provider_calls (kind, key, state, last_error)"
        " values ('stripe.fetch_event', 'key-2', 'dead', '404 x') returning id"
    )
    await db.execute(
        "select fleet.replay_calls(array[$1::bigint], 'ann@desk', 'the key is right', '{}')",
        call_id,
    )
    told = await explain("key-2")
    assert f"call {call_id} stripe.fetch_event: pending" in told.out
    assert "ann@desk had 1 call made again: “the key is right”" in told.out


async def test_a_long_name_is_shown_in_part(explain: Explain, known: Known, db: Connection) -> None:
    token = "t0ken" * 40
    await db.execute(
        "insert into fleet.payment_keys (provider, key, payment_id)"
        " select 'stripe', $1, payment_id from public.coin_purchases",
        token,
    )
    told = await explain(token)
    assert told.code == 0
    assert f"purchase {known.purchase_id} of" in told.out
    assert token not in told.out
    assert "t0kent0kent0… (200 characters)" in told.out
    assert token not in (await explain("--json", token)).out


async def test_no_more_than_the_last_200_lines_are_told(
    explain: Explain, known: Known, db: Connection
) -> None:
    books = Books(db)
    for _ in range(205):
        await books.adjust(known.buyer, 1)
    told = await explain(str(known.buyer))
    assert told.out.count("\n") < 210
    assert "what is older is left out" in told.out
    assert "coins are 238 then" in told.out
    assert "signed up" not in told.out
    assert f"{known.buyer} has 238 coins" in told.out


async def test_what_a_store_says_and_asks_is_told(
    explain: Explain, known: Known, db: Connection
) -> None:
    await db.execute(
        "insert into fleet.store_payments (payment_id, provider, store_app, told_at, quantity,"
        " reversed_milli_percent, is_consumed) select payment_id, 'google', 'com.example.live',"
        " now(), 3, 33333, true from public.coin_purchases;"
        "insert into fleet.store_voids select payment_id, now(), 1 from public.coin_purchases"
    )
    await db.execute(
        "insert into fleet.store_inquiries (provider, inquiry_id, event_id, store_app, asked_at,"
        " deadline, reason) values ('google', 's3cret', $1, 'com.example.live',"
        " '2026-11-20 10:00Z', '2026-11-21 10:00Z', 'FRAUD')",
        known.event_id,
    )
    told = (await explain("evt_paid")).out
    assert "google (com.example.live) says: 3 items, 33.333 % of it reversed, consumed" in told
    assert "1 item of the purchase went back" in told
    number = await db.fetchval("select id from fleet.store_inquiries")
    assert (
        f"asked about the purchase (FRAUD), question {number}: it wants an answer until"
        " 2026-11-21 10:00:00Z" in told
    )
    assert "s3cret" not in told


async def test_an_answer_to_a_store_is_told_with_who_and_why(
    explain: Explain, known: Known, db: Connection
) -> None:
    await db.execute(
        "insert into fleet.store_inquiries (provider, inquiry_id, event_id, payment_key, store_app,"
        " asked_at, deadline) values ('google', 's3cret', $1, 'GPA.1', 'com.example.live',"
        " now(), now() + interval '1 day')",
        known.event_id,
    )
    await db.execute(
        "select fleet.answer_inquiry(id, 'approve', 'x', 'a child bought it', 'ann@desk')"
        " from fleet.store_inquiries"
    )
    told = (await explain("evt_paid")).out
    assert "answered approve, because “a child bought it” (ann@desk)" in told
    assert "google.review_refund: pending" in told
    assert "replayed" not in told
    assert "s3cret" not in told


async def test_a_number_of_several_things_is_asked_back(explain: Explain, known: Known) -> None:
    told = await explain(str(known.event_id))
    assert told.code == 2
    assert f"event:{known.event_id} (stripe test)" in told.err
    assert (await explain(f"event:{known.event_id}")).code == 0


@pytest.mark.long_but_first
@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    "wrong",
    [
        "nothing",
        "",
        "event:",
        "9" * 40,
        "event:-1",
        "pi_\N{SNOWMAN}",
        "x" * 5_000,
        "' or true --",
        "\udcff",
        "event:event:1",
    ],
)
async def test_what_nothing_has_is_one_line_and_exit_2(explain: Explain, wrong: str) -> None:
    told = await explain("--", wrong)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("coinfleet: nothing has this id")
    assert "Traceback" not in told.err


async def test_json_has_the_same_and_no_payload(
    explain: Explain, known: Known, db: Connection
) -> None:
    await db.execute("update fleet.inbox_events set payload = $1", b'{"secret": "card"}')
    told = await explain("--json", f"purchase:{known.purchase_id}")
    story = json.loads(told.out)
    assert story["subject"]["kind"] == "purchase"
    whats = {each["what"] for each in story["story"]["happenings"]}
    assert {"event", "purchase", "grant", "entry", "refund", "name", "balance"} <= whats
    assert "secret" not in told.out
