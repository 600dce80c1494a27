"""Disputes told of before deadlines were kept: a release reads them from the payloads."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from db.release.schema import FOLDER
from tests.db.books import NOON, Books, Payment

if TYPE_CHECKING:
    from datetime import datetime

MIGRATION = FOLDER / "migrations" / "20261203050100_deadlines_of_older_disputes.sql"
DUE = NOON + timedelta(days=9)
LATER = NOON + timedelta(hours=1)


def told(dispute_id: str, due_by: object, *, created: datetime = NOON) -> bytes:
    """An event of Stripe's, as much of it as counts here."""
    dispute = {"id": dispute_id, "evidence_details": {"due_by": due_by}}
    return msgspec.json.encode({"created": int(created.timestamp()), "data": {"object": dispute}})


async def disputed(
    books: Books, payment: Payment, *payloads: bytes | None, **changes: object
) -> str:
    """Have a payment disputed by events with these payloads; return the dispute's id."""
    await books.apply(payment.bought(await books.profile()))
    for number, payload in enumerate(payloads):
        (event_id,) = await books.receive(
            payment.dispute(100, told_at=NOON + number * (LATER - NOON), **changes)
        )
        await books.work()
        await books.db.execute(
            "update fleet.inbox_events set payload = $2, payload_sha256 = '' where id = $1",
            event_id,
            payload,
        )
    return name_of(payment)


def name_of(payment: Payment) -> str:
    return f"dp_{payment.number}"


async def deadline(books: Books, dispute_id: str) -> datetime | None:
    """Apply the migration; return what is known of the dispute then."""
    await books.db.execute(MIGRATION.read_text())
    found: datetime | None = await books.db.fetchval(
        "select due_at from fleet.disputes where dispute_id = $1", dispute_id
    )
    return found


async def test_the_deadline_of_an_open_dispute_is_that_of_its_newest_event(books: Books) -> None:
    payment = Payment()
    older = told(name_of(payment), int(NOON.timestamp()))
    newest = told(name_of(payment), int(DUE.timestamp()), created=LATER)
    assert await deadline(books, await disputed(books, payment, older, newest)) == DUE


@pytest.mark.parametrize(
    "payload",
    [
        None,
        b"\xff",
        b"[",
        b"null",
        b'"\\u0000"',
        told("dp_of_another", int(DUE.timestamp())),
        b'{"created": 1e400, "data": {"object": {"id": "dp"}}}',
    ],
)
async def test_what_can_not_be_read_leaves_a_dispute_as_it_is(
    books: Books, payload: bytes | None
) -> None:
    assert await deadline(books, await disputed(books, Payment(), payload)) is None


@pytest.mark.parametrize("due_by", [b"null", b'"soon"', b"true", b"1e30", b"1e999", b"{}"])
async def test_no_deadline_is_made_up(books: Books, due_by: bytes) -> None:
    payment = Payment()
    payload = told(name_of(payment), 0).replace(b'"due_by":0', b'"due_by":' + due_by)
    assert due_by in payload
    assert await deadline(books, await disputed(books, payment, payload)) is None


@pytest.mark.parametrize(
    ("changes", "expected"), [({"status": "lost"}, None), ({"due_at": LATER}, LATER)]
)
async def test_a_closed_dispute_and_a_known_deadline_stay(
    books: Books, changes: dict[str, object], expected: datetime | None
) -> None:
    payment = Payment()
    payload = told(name_of(payment), int(DUE.timestamp()))
    assert await deadline(books, await disputed(books, payment, payload, **changes)) == expected
