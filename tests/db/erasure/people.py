"""A person who has left traces in every table, for the tests of erasure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.db.books import Books, Payment, gift

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection

NAME, ADDRESS, AGENT = "Aurelia Quint", "203.0.113.77", "Quintbrowser/1.0"
ERASE = "select fleet.erase_profile($1, 'an operator', 'asked')"


class Person:
    """Somebody who has left a trace everywhere, and somebody else to compare."""

    def __init__(self, books: Books, person: UUID, other: UUID) -> None:
        self.books, self.id, self.other = books, person, other

    async def erase(self) -> dict[str, int]:
        """Erase them; return how much was cleared, by kind."""
        cleared: dict[str, int] = json.loads(await self.books.db.fetchval(ERASE, self.id))
        return cleared


async def person_with_traces(books: Books) -> Person:
    """Return somebody who bought, gave, chatted, followed, watched and streamed."""
    person, other = await books.profiles(2)
    await _name(books.db, person)
    payment = await _pay(books, person, other)
    await _stream(books.db, person, other)
    await _follow(books.db, person, other)
    await _note(books.db, person, payment)
    return Person(books, person, other)


async def _name(db: Connection, person: UUID) -> None:
    await db.execute(
        "update auth.users set email = 'aurelia@quint.example',"
        """ raw_user_meta_data = '{"full_name": "Aurelia Quint"}' where id = $1""",
        person,
    )
    await db.execute(
        "update public.profiles set username = 'quint', display_name = $2, bio = $2,"
        " avatar_url = 'https://quint.example/a.png' where id = $1",
        person,
        NAME,
    )


async def _pay(books: Books, person: UUID, other: UUID) -> Payment:
    payment = Payment()
    at_home = {"ip_address": ADDRESS, "country_code": "LI", "user_agent": AGENT}
    elsewhere = at_home | {"ip_address": "198.51.100.1", "user_agent": "Otherbrowser/1.0"}
    await books.apply(
        payment.bought(person, units=3, **at_home), Payment().bought(other, **elsewhere)
    )
    await books.apply(payment.refund(100), gift(person, other, 5), gift(person, other, 100_000))
    return payment


async def _stream(db: Connection, person: UUID, other: UUID) -> None:
    stream = await db.fetchval(
        "insert into public.live_streams (profile_id, title, live_available)"
        " values ($1, $2, true) returning id",
        person,
        f"{NAME} live",
    )
    await db.executemany(
        "insert into public.chat_messages (stream_id, profile_id, body) values ($1, $2, $3)",
        [(stream, person, f"I am {NAME}"), (stream, other, "hello")],
    )
    await db.execute(
        "insert into public.active_viewers (stream_id, viewer_id, is_active, is_unmuted,"
        " is_visible, is_subscribed) select $1, unnest($2::uuid[]), true, true, true, true",
        stream,
        [person, other],
    )
    await db.execute(
        "update public.active_viewers set tabs = jsonb_build_object($2::text, 1)"
        " where viewer_id = $1",
        person,
        f"{NAME}'s phone",
    )


async def _follow(db: Connection, person: UUID, other: UUID) -> None:
    await db.execute("insert into public.follows values ($1, $2), ($2, $1)", person, other)
    await db.execute(
        "insert into public.user_links (profile_id, label, url)"
        " values ($1, 'mine', 'https://quint.example'), ($2, 'theirs', 'https://other.example')",
        person,
        other,
    )
    await db.execute(
        "insert into public.user_grid_slots (viewer_id, slot_index, streamer_id)"
        " values ($1, 1, $2), ($2, 1, $1), ($2, 2, $2)",
        person,
        other,
    )


async def _note(db: Connection, person: UUID, payment: Payment) -> None:
    """Write what providers and errors say of the person."""
    await db.execute(
        "insert into fleet.provider_calls (kind, key, state, request, result)"
        " values ('refund', 'theirs', 'done', $1, $2), ('refund', 'another', 'done', $3, null)",
        json.dumps({"payment_intent": payment.intent}),
        json.dumps({"billing_details": {"name": NAME}}),
        json.dumps({"payment_intent": "pi_of_another"}),
    )
    await db.execute(
        "update fleet.inbox_events set last_error = $2 where encode(payload, 'escape') ~ $1",
        str(person),
        f"DataError: no such name: {NAME}",
    )
