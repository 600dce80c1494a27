"""What the desk shows: purchases that are held or frozen, a store's question, disputes; and people.

Each test of a decision makes a purchase of its own.
"""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from db.console.sessions import Claimant, open_session
from db.facts import StoreInquiry
from tests.db.books import PRICE_LIST, Books, Payment
from tests.db.stores.sales import PRICE_LIST as STORES_PRICE_LIST
from tests.db.stores.sales import Sale
from workers.console.sign_in.sessions import hash_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from db.connections.pool import Connection
    from db.facts import Fact
    from tests.workers.console.site import Site

BUYER = UUID("00000000-0000-4000-8000-0000000000b1")
HELD_EVENT = 5
PARK = "update fleet.inbox_events set state = '{}' where id = 3"
# What stands in place of a parameter of a path; of all others it is 1.
IDS = {"profile_id": str(BUYER), "held_event_id": str(HELD_EVENT)}


def an_address(path: str) -> str:
    """Put an id that there is in place of each parameter of a path."""
    return re.sub(r"\{([a-z_]+)\}", lambda found: IDS.get(found[1], "1"), path)


class Holdings(Books):
    """Books whose events have names of their own: the inbox has an evt_1 already."""

    async def receive(self, *facts: Fact, ids: Sequence[str] | None = None) -> list[int]:
        """Store one event per fact."""
        return await super().receive(
            *facts, ids=ids or [f"evt_{secrets.token_hex(8)}" for _ in facts]
        )


async def make_holdings(connection: Connection) -> None:
    """Purchase 1 and event HELD_EVENT are held, purchase 2 is frozen and disputed; one question.

    The inbox holds events up to 3 before it.
    """
    books = Holdings(connection)
    # The inbox's own event is pending for good: the books can't read it.
    await connection.execute(PARK.format("waiting"))
    await connection.execute(PRICE_LIST)
    await connection.execute(STORES_PRICE_LIST)
    await connection.execute("insert into auth.users (id) values ($1)", BUYER)
    await books.apply_one(Payment().worth(BUYER, 30_000))
    held = await books.receive(Payment().bought(None, buyer_unreadable=True))
    assert held == [HELD_EVENT]
    await books.work()
    frozen = Payment()
    await books.apply(frozen.bought(BUYER), frozen.freeze("issfr_1"))
    await books.apply_one(
        frozen.dispute(50, status="needs_response", due_at=books.now + timedelta(days=9))
    )
    await ask(books, Sale("google"))
    await connection.execute(PARK.format("pending"))


async def ask(books: Books, sale: Sale, *, hours: int = 24) -> int:
    """A store asks about a purchase of BUYER's; return the question's id."""
    asked_at = await books.db.fetchval("select clock_timestamp() - interval '1 hour'")
    await books.apply(
        sale.sold(BUYER),
        StoreInquiry(
            payment_keys=[sale.order],
            inquiry_id=f"question {sale.number}",
            store_app=sale.app,
            asked_at=asked_at,
            deadline=asked_at + timedelta(hours=hours),
            reason="CHARGEBACK",
            told=None,
        ),
    )
    found: int = await books.db.fetchval("select max(id) from fleet.store_inquiries")
    return found


async def hold(owner: Connection, dollars: int = 30_000) -> tuple[int, Payment]:
    """A purchase of BUYER's that waits for a person; return its id."""
    payment = Payment()
    await Holdings(owner).apply_one(payment.worth(BUYER, dollars))
    found: int = await owner.fetchval(
        "select id from public.coin_purchases where provider_payment_id = $1", payment.intent
    )
    return found, payment


async def token_of(owner: Connection, name: str, role: str, *, account: str = "") -> str:
    """The cookie of a session of a person with this name."""
    token = secrets.token_urlsafe()
    claimant = Claimant(
        subject=f"test {account or name}", name=name, role=role, aal="aal1", reads_payloads=False
    )
    assert await open_session(owner, hash_of(token), claimant, lasts_s=3_600) == name
    return token


async def sign_in(
    site: Site, owner: Connection, name: str, role: str, *, account: str = ""
) -> httpx.AsyncClient:
    """A browser of a person with this name, and this id at the sign-in service."""
    browser = site.browser()
    token = await token_of(owner, name, role, account=account)
    browser.cookies.set("coinfleet", token, domain="127.0.0.1")
    return browser


def fields_of(page: str, action: str) -> dict[str, str]:
    """Return the fields of the form with this action, as a browser would send them at first."""
    found = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    assert found, f"no form is sent to {action}"
    fields: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", found[0]):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attributes.get("type") == "radio" and "checked" not in tag:
            continue
        # A box that ticks all others is sent nowhere.
        if "name" not in attributes:
            continue
        fields[attributes["name"]] = attributes.get("value", "").replace("&#34;", '"')
    return fields
