"""The nightly proof finds purchases whose event is of a Stripe account that is not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

from db import reconciliation
from tasks.providers import PROVIDERS
from tasks.providers.stripe import Stripe
from tasks.reconciliation import prove_everything
from tests.db.books import APPLIED, COINS, NOON, Books, Payment
from tests.tasks.contexts import make_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Pool

pytestmark = pytest.mark.requirement("C10")

OURS, THEIRS = "acct_ours", "acct_theirs"
FOUND = "purchases_are_of_our_accounts"
CLOSE = "select fleet.close_other_account($1, $2, $3)"


async def granted(books: Books, payment: Payment, **envelope: Any) -> tuple[int, int]:
    """Grant a purchase by an event as the release before read it; return purchase and event."""
    buyer = await books.profile()
    [event_id] = await books.receive(payment.bought(buyer))
    assert (await books.work())[event_id] == APPLIED
    event = {"id": "evt", "type": "payment_intent.succeeded"} | envelope
    event.setdefault("data", {"object": {"id": payment.intent}})
    await books.db.execute(
        "update fleet.inbox_events set payload = $2 where id = $1",
        event_id,
        msgspec.json.encode(event),
    )
    return (await books.purchase(payment))["id"], event_id


async def found(pool: Pool, *accounts: str) -> Sequence[Any]:
    """Return the first rows of what is of none of these accounts."""
    breach = await reconciliation.find_other_accounts(pool, accounts)
    return breach.first_rows if breach else []


async def test_the_proof_names_event_and_account_until_a_person_closes_it(
    books: Books, worker_pool: Pool
) -> None:
    payment = Payment()
    purchase_id, event_id = await granted(books, payment, account=THEIRS)
    providers = {each.name: each() for each in PROVIDERS} | {"stripe": Stripe(accounts=[OURS])}
    ctx = make_context(worker_pool, providers=providers)
    with capture_logs() as logs:
        await prove_everything(ctx)
    [line] = [line for line in logs if line["event"] == "invariant_broken"]
    assert (line["invariant"], line["log_level"], line["violations"]) == (FOUND, "error", 1)
    [row] = line["first_rows"]
    assert (row["purchase_id"], row["event_id"], row["account"]) == (purchase_id, event_id, THEIRS)
    assert row["coins"] == COINS
    status = await reconciliation.read_status(books.db)
    assert (status.violations, set(status.detail)) == (1, {FOUND})

    closed = await books.db.fetchval(CLOSE, purchase_id, "ann", "its coins were taken")
    assert closed == event_id
    action = "select action, typed_by, reason, event_ids from fleet.operator_actions"
    assert tuple(await books.db.fetchrow(action) or ()) == (
        *("close other account", "ann", "its coins were taken"),
        [event_id],
    )
    await prove_everything(ctx)
    assert (await reconciliation.read_status(books.db)).violations == 0


NAMED: dict[str, tuple[dict[str, Any], bool]] = {
    "account": ({"account": THEIRS}, True),
    "old name": ({"user_id": THEIRS}, True),
    "context": ({"context": THEIRS}, True),
    "path": ({"context": f"{OURS}/{THEIRS}"}, True),
    "no text": ({"account": 7}, True),
    "one of two": ({"account": OURS, "context": THEIRS}, True),
    "an object": ({"account": {"id": OURS}}, True),
    "ours": ({"account": OURS}, False),
    "path to ours": ({"context": f"org_1/{OURS}"}, False),
    "none": ({"account": None, "context": None}, False),
    "inside": ({"data": {"object": {"liability": {"account": THEIRS}}}}, False),
}


@pytest.mark.parametrize("name", NAMED)
async def test_whose_event_it_is_is_read_as_when_it_came(
    books: Books, worker_pool: Pool, name: str
) -> None:
    envelope, is_found = NAMED[name]
    await granted(books, Payment(), **envelope)
    assert len(await found(worker_pool, OURS)) == is_found


async def test_what_was_given_back_or_is_unreadable_is_not_named(
    books: Books, worker_pool: Pool
) -> None:
    refunded, erased, unreadable = Payment(), Payment(), Payment()
    await granted(books, refunded, account=THEIRS)
    await books.apply_one(refunded.refund(100))
    for payment, payload in ((erased, None), (unreadable, b'{"account": "')):
        _, event_id = await granted(books, payment, account=THEIRS)
        await books.db.execute(
            "update fleet.inbox_events set payload = $2 where id = $1", event_id, payload
        )
    assert await found(worker_pool) == []


async def test_a_purchase_that_is_still_held_is_left_to_the_person_who_decides(
    books: Books, worker_pool: Pool
) -> None:
    [event_id] = await books.receive(Payment().bought(uuid4(), purchased_at=NOON))
    await books.work()
    await books.db.execute(
        "update fleet.inbox_events set payload = $2 where id = $1",
        event_id,
        msgspec.json.encode({"account": THEIRS}),
    )
    assert await found(worker_pool) == []


@pytest.mark.parametrize(
    ("purchase", "who", "reason"), [(0, "ann", "why"), (1, " ", "why"), (1, "ann", "")], ids=str
)
async def test_a_person_who_closes_says_what_who_and_why(
    books: Books, purchase: int, who: str, reason: str
) -> None:
    purchase_id, _ = await granted(books, Payment(), account=THEIRS)
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await books.db.execute(CLOSE, purchase_id * purchase, who, reason)
