"""The story of a payment, an event, a gift, a profile or a stream: what happened, and when.

Reads only. Each question reads an index and returns at most LINES_MAX + 1 rows, the newest, so
that a story costs the same however long history is. It tells no payload and nothing of a person but
the profile's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from db.inbox.batches import ClaimedEvent, EventId
from db.inbox.claims import interpret_events
from db.operating.profile_queries import (
    ABOUT_GIFTS,
    ABOUT_PROFILES,
    ABOUT_STREAMS,
    ENTRIES_OF_GIFTS,
)
from db.operating.story_queries import (
    ABOUT_CALLS,
    ABOUT_EVENTS,
    ABOUT_PAYMENTS,
    AROUND_EVENTS,
    ENTRIES_OF_PURCHASES,
    ENTRIES_OF_REVERSALS,
    MESSAGES_OF_REVERSALS,
    PAYMENTS_OF_EVENT,
    PAYMENTS_OF_PURCHASE,
    REPLAYS_OF_CALLS,
)
from db.operating.subjects import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from db.connections.pool import Connection
    from db.facts import Fact
    from db.operating.subjects import Subject

LINES_MAX = 200


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened, or that holds now if `at` is None; `what` says what `detail` has."""

    at: datetime | None
    what: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, the oldest first, then what holds now. `is_cut` if older things were left."""

    happenings: Sequence[Happening]
    left: int
    is_cut: bool


async def tell(
    connection: Connection, subject: Subject, *, interpret: Callable[[ClaimedEvent], Fact]
) -> Story:
    """Return the story of a subject, from one moment of the database.

    `interpret` says what an event means: by the names of its payment the rest is found.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        found = _Found(connection, interpret)
        match subject.kind:
            case "profile":
                await found.ask(ABOUT_PROFILES, [subject.key])
            case "stream":
                await found.ask(ABOUT_STREAMS, [subject.key])
            case "gift":
                await found.tell_gifts([subject.key])
            case "purchase":
                await found.tell_payments(
                    await connection.fetchval(PAYMENTS_OF_PURCHASE, subject.key)
                )
            case "decision":
                await found.tell_decision(subject.key)
            case "call":
                await found.tell_call(subject.key)
            case "payment" | "refund" | "dispute":
                await found.tell_payments([subject.key])
            case "event":
                await found.tell_event(subject.key)
        await found.tell_replayed_calls()
        return found.story()


class _Found:
    """What was found so far; a row that two questions found is told once."""

    def __init__(self, connection: Connection, interpret: Callable[[ClaimedEvent], Fact]) -> None:
        self._connection = connection
        self._interpret = interpret
        self._happenings: list[Happening] = []
        self._is_cut = False

    async def ask(self, queries: Mapping[str, str], keys: Sequence[object]) -> None:
        for what, query in queries.items():
            rows = await self._connection.fetch(f"{query} limit {LINES_MAX + 1}", keys)
            self._is_cut = self._is_cut or len(rows) > LINES_MAX
            for row in rows:
                detail: dict[str, Any] = {
                    name: shorten(value) if isinstance(value, str) and name in _NAMES else value
                    for name, value in row.items()
                }
                happening = Happening(detail.pop("at"), what, detail)
                if happening not in self._happenings:
                    self._happenings.append(happening)

    async def tell_decision(self, decision_id: int | UUID) -> None:
        event_id = await self._connection.fetchval(
            "select event_id from fleet.decisions where id = $1", decision_id
        )
        if event_id is not None:
            await self.tell_event(event_id)
            return
        purchase_id = await self._connection.fetchval(
            "select purchase_id from fleet.decisions where id = $1", decision_id
        )
        await self.tell_payments(await self._connection.fetchval(PAYMENTS_OF_PURCHASE, purchase_id))

    async def tell_call(self, call_id: int | UUID) -> None:
        event_id = await self._connection.fetchval(
            "select event_id from fleet.provider_calls where id = $1", call_id
        )
        if event_id is not None:
            await self.tell_event(event_id)
        await self.ask(ABOUT_CALLS, [call_id])

    async def tell_replayed_calls(self) -> None:
        calls = [each.detail["id"] for each in self._happenings if each.what in ("call", "message")]
        if calls:
            await self.ask(REPLAYS_OF_CALLS, calls)

    async def tell_event(self, event_id: int | UUID) -> None:
        names = await self._payment_names(event_id)
        payments = await self._connection.fetch(PAYMENTS_OF_EVENT, event_id, names)
        if payment_ids := [row[0] for row in payments if row[0] is not None]:
            await self.tell_payments(payment_ids)
        if not any(
            each.what == "event" and each.detail["id"] == event_id for each in self._happenings
        ):
            await self.ask({"event": ABOUT_EVENTS["event"]}, [event_id])
        await self.ask(AROUND_EVENTS, [event_id])
        gifts = await self._connection.fetch(
            "select g.id from public.gifts as g"
            " join fleet.inbox_events as e on e.provider_event_id = g.provider_event_id"
            " where e.id = $1",
            event_id,
        )
        if gifts:
            await self.tell_gifts([row["id"] for row in gifts])

    async def _payment_names(self, event_id: int | UUID) -> list[str]:
        """Return the names of the payment that the event tells of; none without a payload."""
        row = await self._connection.fetchrow(
            "select id, provider, provider_event_id, event_type, payload, received_at, attempts"
            " from fleet.inbox_events where id = $1 and payload is not null",
            event_id,
        )
        if row is None:
            return []
        event = ClaimedEvent(EventId(row[0]), *tuple(row)[1:])
        ((_, fact),) = await interpret_events(self._connection, [event], self._interpret)
        return list(getattr(fact, "payment_keys", None) or ())

    async def tell_gifts(self, gift_ids: Sequence[object]) -> None:
        await self.ask({**ABOUT_GIFTS, **ENTRIES_OF_GIFTS}, gift_ids)
        await self._tell_balances()

    async def tell_payments(self, payment_ids: Sequence[object]) -> None:
        await self.ask(ABOUT_PAYMENTS, payment_ids)
        await self.ask(ENTRIES_OF_PURCHASES, payment_ids)
        await self.ask(ENTRIES_OF_REVERSALS, payment_ids)
        event_ids = [each.detail["id"] for each in self._happenings if each.what == "event"]
        await self.ask(AROUND_EVENTS, event_ids)
        await self.ask(MESSAGES_OF_REVERSALS, self._reversals())
        await self._tell_balances()

    def _reversals(self) -> list[str]:
        """Return purchase and transaction of each reversal that was found: 7-42."""
        return [
            f"{each.detail['idempotency_key'].split(':')[1]}-{each.detail['transaction_id']}"
            for each in self._happenings
            if each.what == "entry" and each.detail["idempotency_key"].startswith("reversal:")
        ]

    async def _tell_balances(self) -> None:
        people = {
            each.detail["profile_id"]
            for each in self._happenings
            if each.what == "entry" and each.detail["profile_id"]
        }
        await self.ask({"balance": ABOUT_PROFILES["balance"]}, sorted(people))

    def story(self) -> Story:
        timed = [each for each in self._happenings if each.at is not None]
        timed.sort(key=lambda each: (each.at, _RANKS.get(each.what, 0), each.detail.get("id") or 0))
        now = [each for each in self._happenings if each.at is None]
        told = timed[-LINES_MAX:]
        return Story([*told, *now], left=len(timed) - len(told), is_cut=self._is_cut)


# What may hold the name of a payment.
_NAMES = frozenset({"key", "idempotency_key", "provider_payment_id", "provider_event_id"})

# Of what happened in one moment, causes come before effects.
_RANKS = {
    "event": 1,
    "found": 2,
    "replay": 2,
    "decision": 2,
    "purchase": 3,
    "gift": 3,
    "grant": 4,
    "refund": 4,
    "entry": 5,
}
