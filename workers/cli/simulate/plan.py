"""What a simulated run sends, and what must become of it: computed in Python, apart from the SQL.

Values only: nothing here sends or asks. The functions that fill a plan are in cases/.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from workers.cli.simulate.events import Webhook, app_webhook, stripe_webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from uuid import UUID


class Outcome(NamedTuple):
    """A state in which an event may end, with its reason."""

    state: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.state} ({self.reason})" if self.reason else self.state


APPLIED = Outcome("applied")


class Balance(NamedTuple):
    """What a profile has, in coins."""

    coins: int = 0
    earnings: int = 0


@dataclass(frozen=True, slots=True)
class Secrets:
    """What signs the events of a run: one secret of each provider, and of the app's sign-in."""

    stripe: str
    app: str
    sign_in: str = ""
    """Signs access tokens of the app's users; without it no client submits anything."""
    audience: str = "authenticated"
    google: str = ""
    """A token as Pub/Sub sends it; the mock of Google gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """An event to send; it may end in any of `outcomes`.

    Its content is built when it is sent: a million of them would not fit in memory.
    """

    provider: str
    event_id: str
    make: Callable[[Secrets, float], Webhook]
    outcomes: frozenset[Outcome]

    def sign(self, secrets: Secrets, *, at_s: float) -> Webhook:
        """Return one delivery of the event, with a signature of its own."""
        return self.make(secrets, at_s)


def of_stripe(build: Callable[[], Mapping[str, Any]], secrets: Secrets, at_s: float) -> Webhook:
    """Return a delivery of Stripe's event."""
    return stripe_webhook(build(), secret=secrets.stripe, at_s=at_s)


def of_app(
    event_id: str, build: Callable[[], Mapping[str, Any]], secrets: Secrets, at_s: float
) -> Webhook:
    """Return a delivery of the app's event."""
    return app_webhook(event_id, build(), secret=secrets.app, at_s=at_s)


@dataclass(slots=True, kw_only=True)
class PlannedPayment:
    """A payment that is granted, and how much of it is reversed in the end."""

    buyer: UUID
    coins: int
    paid_minor: int
    """In minor units; for a store that sells without a price, how many were sold."""
    reversed_minor: int = 0
    """In the same unit."""

    @property
    def coins_left(self) -> int:
        """The coins that remain: a reversal takes coins in proportion, rounded down."""
        return self.coins - self.coins * self.reversed_minor // self.paid_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGift:
    """A gift, if its event is applied."""

    event_id: str
    sender: UUID
    recipient: UUID
    coins: int
    streamer_share: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run. The `opening` events must be settled before the others are sent."""

    run: str
    people: dict[UUID, str] = field(default_factory=dict)
    opening: list[PlannedEvent] = field(default_factory=list)
    events: list[PlannedEvent] = field(default_factory=list)
    payments: dict[str, PlannedPayment] = field(default_factory=dict)
    gifts: list[PlannedGift] = field(default_factory=list)
    charged: dict[str, int] = field(default_factory=dict)
    """What Stripe took, in minor units, by payment intent; whatever became of it here."""
    google_sales: list[dict[str, Any]] = field(default_factory=list)
    """What Google's mock must have sold, as it reads it."""
    apple_notifications: list[Callable[[], bytes]] = field(default_factory=list)
    """The bodies of what Apple sends, for Apple's mock."""

    def __len__(self) -> int:
        return len(self.opening) + len(self.events)

    @property
    def all_events(self) -> dict[str, PlannedEvent]:
        """Each event by its id."""
        return {event.event_id: event for event in (*self.opening, *self.events)}

    @property
    def unnamed_ids(self) -> list[str]:
        """The ids of events that do not name the run."""
        return [event_id for event_id in self.all_events if self.run not in event_id]

    def balances(self, applied: Container[str]) -> dict[UUID, Balance]:
        """Return what each person must have, given which gift events were applied.

        A gift right after its purchase may be applied or refused; either way the coins are known.
        """
        coins: defaultdict[UUID, int] = defaultdict(int)
        earnings: defaultdict[UUID, int] = defaultdict(int)
        for payment in self.payments.values():
            coins[payment.buyer] += payment.coins_left
        for gift in self.gifts:
            if gift.event_id in applied:
                coins[gift.sender] -= gift.coins
                earnings[gift.recipient] += gift.streamer_share
        return {person: Balance(coins[person], earnings[person]) for person in self.people}
