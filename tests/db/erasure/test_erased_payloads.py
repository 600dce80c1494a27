"""Which payloads an erasure finds by an e-mail address, in any spelling that JSON allows."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.db.books import Books

pytestmark = pytest.mark.requirement("I3")

ERASE = "select fleet.erase_profile($1, 'an operator', 'asked')"
STORE = """
insert into fleet.inbox_events
    (provider, provider_event_id, event_type, payload, payload_sha256, state, reason, processed_at)
select 'app', no::text, 'user.updated', body, '', 'ignored', 'unknown_type', now()
from unnest($1::bytea[]) with ordinality as b (body, no)
"""
LEFT = "select payload from fleet.inbox_events where payload is not null order by id"
ADDRESSES = (
    "jürgen@example.com",
    "JÜRGEN@example.com",
    "jane@übung.example",
    "用户@例子.广告",
    "😀@example.com",
    "o'brien@example.com",
    "a&b@example.com",
    "a+b@example.com",
    "a/b=c@example.com",
    '"a b"@example.com',
    r'"a\b"@example.com',
    "a{1,9}|(b).*@example.com",
)


def plain(text: str) -> str:
    """Write letters as they are, as most languages do."""
    return json.dumps(text, ensure_ascii=False)


def in_ascii(text: str) -> str:
    """Write what is not ASCII as escapes, as Python and Stripe do."""
    return json.dumps(text)


def for_html(text: str) -> str:
    r"""Escape what has a meaning in HTML, as .NET (\u002B), Go (\u0026) and PHP (\/) do."""
    written = re.sub(r"[&+<>'=]", lambda c: f"\\u{ord(c[0]):04X}", json.dumps(text))
    return written.replace("/", r"\/")


@pytest.mark.parametrize("spell", [plain, in_ascii, for_html])
@pytest.mark.parametrize("address", ADDRESSES)
async def test_an_address_is_found_however_json_spells_it(
    books: Books, address: str, spell: Callable[[str], str]
) -> None:
    [person] = await books.profiles(1)
    await books.db.execute("update auth.users set email = $2 where id = $1", person, address)
    told = (address, address.lower(), f"Jane <{address}>", f"Write:\n{address}\n", f"«{address}»")
    await books.db.execute(STORE, [f'{{"told": {spell(text)}}}'.encode() for text in told])
    await books.db.execute(ERASE, person)
    assert await books.db.fetch(LEFT) == []


@pytest.mark.parametrize("spell", [plain, in_ascii, for_html])
@pytest.mark.parametrize(
    "another", ["xjürgen@example.com", "jürgen@example.com.au", "jurgen@example.com"]
)
async def test_an_address_that_holds_theirs_is_another(
    books: Books, another: str, spell: Callable[[str], str]
) -> None:
    [person] = await books.profiles(1)
    await books.db.execute(
        "update auth.users set email = 'jürgen@example.com' where id = $1", person
    )
    body = f'{{"told": {spell(another)}}}'.encode()
    await books.db.execute(STORE, [body])
    await books.db.execute(ERASE, person)
    assert [row["payload"] for row in await books.db.fetch(LEFT)] == [body]


CUSTOMER = {"id": "cus_Jane1", "object": "customer", "name": "Jane", "phone": "+423"}


@pytest.mark.parametrize("customer", ["cus_Jane1", {"id": "cus_Jane1", "object": "customer"}])
async def test_events_about_the_customer_who_paid_are_erased_too(
    books: Books, customer: object
) -> None:
    person, other = await books.profiles(2)
    theirs = {"object": {"metadata": {"profile_id": str(person)}, "customer": customer}}
    of_another = {"object": {"metadata": {"profile_id": str(other)}, "customer": "cus_Jane12"}}
    kept = [{"data": of_another}, {"data": {"object": CUSTOMER | {"id": "cus_Jane12"}}}]
    told = [{"data": theirs}, {"data": {"object": CUSTOMER}}, *kept]
    await books.db.execute(STORE, [json.dumps(body).encode() for body in told])
    await books.db.execute("update fleet.inbox_events set provider = 'stripe'")
    await books.db.execute(ERASE, person)
    left = [json.loads(row["payload"]) for row in await books.db.fetch(LEFT)]
    assert left == kept


async def test_a_payment_of_another_person_by_the_same_customer_stays(books: Books) -> None:
    person, other = await books.profiles(2)
    bodies = [
        json.dumps({"metadata": {"profile_id": str(who)}, "customer": "cus_Jane1"}).encode()
        for who in (person, other)
    ]
    await books.db.execute(STORE, bodies)
    await books.db.execute("update fleet.inbox_events set provider = 'stripe', state = 'applied'")
    await books.db.execute(ERASE, person)
    assert [row["payload"] for row in await books.db.fetch(LEFT)] == bodies[1:]


async def test_a_customer_without_a_payment_here_erases_nothing(books: Books) -> None:
    [person] = await books.profiles(1)
    body = json.dumps({"customer": "cus_Jane1", "data": CUSTOMER}).encode()
    await books.db.execute(STORE, [body])
    await books.db.execute("update fleet.inbox_events set provider = 'stripe'")
    await books.db.execute(ERASE, person)
    assert [row["payload"] for row in await books.db.fetch(LEFT)] == [body]
