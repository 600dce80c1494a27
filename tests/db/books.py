"""The books for tests of money: facts go in, outcomes and balances come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

import msgspec

from db.facts import (
    ChargeFailed,
    Dispute,
    DisputeTransaction,
    Fact,
    Gift,
    PaymentFreeze,
    Purchase,
    Refund,
    RefundTotal,
    Verdict,
)
from db.release.schema import Kind, expected

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from db.connections.pool import Connection

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
# A coin costs a cent, so that refunds are easy to read: 100 coins cost 1.00.
SKU = "coins_100"
COINS = 100
PRICE_MINOR = 100
ROSE, ROSE_COST = "rose", 1
# 55 % of 3 coins is 1.65: the streamer's share is rounded down.
CAKE, CAKE_COST, CAKE_SHARE_BPS = "cake", 3, 5_500

INVARIANTS = tuple(file.name for file in expected() if file.kind is Kind.INVARIANT)

EVENT_TYPES: dict[type, str] = {
    Gift: "gift.sent",
    Refund: "refund.updated",
    RefundTotal: "charge.refunded",
    Dispute: "charge.dispute.updated",
    ChargeFailed: "charge.failed",
}

_numbers = count(1)

PRICE_LIST = f"""
insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency) values
    ('stripe', '{SKU}', {COINS}, {PRICE_MINOR}, 'usd'),
    ('stripe', '{SKU}', {COINS}, 95, 'eur'),
    ('stripe', 'coins_7', 7, 300, 'usd');
insert into public.gift_types (code, name, coin_cost, streamer_share_bps, active) values
    ('{ROSE}', 'Rose', {ROSE_COST}, 7000, true),
    ('{CAKE}', 'Cake', {CAKE_COST}, {CAKE_SHARE_BPS}, true),
    ('gone', 'Gone', 1, 7000, false);
"""


class Outcome(NamedTuple):
    """What became of an event."""

    state: str
    reason: str | None = None


APPLIED = Outcome("applied")
DUPLICATE = Outcome("applied", "duplicate_payment")
NO_PURCHASE_YET = Outcome("waiting", "no_purchase_yet")
SHORT = Outcome("rejected", "insufficient_coins")


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment under Stripe's names; its facts name all its keys."""

    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def intent(self) -> str:
        return f"pi_{self.number}"

    @property
    def charge(self) -> str:
        return f"ch_{self.number}"

    @property
    def keys(self) -> list[str]:
        return [self.intent, self.charge]

    def bought(self, buyer: UUID | None, *, units: int = 1, **changes: Any) -> Purchase:
        """`units` packages of 100 coins for 1.00 each were paid."""
        told: dict[str, Any] = {
            "provider_payment_id": self.intent,
            "payment_keys": self.keys,
            "profile_id": buyer,
            "sku": SKU,
            "quantity": units,
            "amount_minor": units * PRICE_MINOR,
            "currency": "usd",
            "purchased_at": NOON,
        }
        return Purchase(**told | changes)

    def worth(self, buyer: UUID, dollars: int, *, cents: int = 0) -> Purchase:
        """Coins for so many dollars were paid."""
        return self.bought(buyer, units=dollars, amount_minor=dollars * 100 + cents)

    def refund(
        self, amount_minor: int, refund_id: str = "re", status: str = "succeeded", **changes: Any
    ) -> Refund:
        """One refund has this status."""
        told: dict[str, Any] = {
            "payment_keys": self.keys,
            "told_at": NOON,
            "refund_created_at": NOON,
            "refund_id": f"{refund_id}_{self.number}",
            "amount_minor": amount_minor,
            "status": status,
        }
        return Refund(**told | changes)

    def refunded_so_far(self, cumulative_minor: int, **changes: Any) -> RefundTotal:
        """So much was refunded in all."""
        told: dict[str, Any] = {
            "payment_keys": self.keys,
            "told_at": NOON,
            "cumulative_minor": cumulative_minor,
        }
        return RefundTotal(**told | changes)

    def dispute(
        self, amount_minor: int, *moved: int, dispute_id: str = "dp", **changes: Any
    ) -> Dispute:
        """A dispute for which these amounts moved, in settlement currency."""
        name = f"{dispute_id}_{self.number}"
        told: dict[str, Any] = {
            "payment_keys": self.keys,
            "told_at": NOON,
            "dispute_id": name,
            "status": "needs_response",
            "amount_minor": amount_minor,
            "currency": "usd",
            "transactions": [
                DisputeTransaction(id=f"txn_{name}_{no}", amount=amount, currency="usd")
                for no, amount in enumerate(moved)
            ],
        }
        return Dispute(**told | changes)

    def freeze(self, source_id: str = "issfr", *, is_open: bool = True, **changes: Any) -> Fact:
        """An early fraud warning says that the payment may be a fraud."""
        name = f"{source_id}_{self.number}"
        told: dict[str, Any] = {
            "payment_keys": [*self.keys, name],
            "told_at": NOON,
            "opened_at": NOON,
            "source": "early_fraud_warning",
            "source_id": name,
            "is_open": is_open,
        }
        return PaymentFreeze(**told | changes)

    def review(self, *, is_open: bool = True, **changes: Any) -> Fact:
        """A review of the payment is open or closed."""
        return self.freeze("prv", is_open=is_open, source="review", **changes)

    def charge_failed(self) -> ChargeFailed:
        """The money arrived, and the buyer's bank took it back."""
        return ChargeFailed(payment_keys=self.keys)

    def not_ours(self) -> Verdict:
        """The payment carries none of our metadata."""
        return Verdict(state="ignored", reason="not_ours", payment_keys=self.keys)


def gift(sender: UUID, recipient: UUID, coins: int = 1, **changes: Any) -> Gift:
    """A gift of so many roses, which cost a coin each."""
    given: dict[str, Any] = {
        "sender_id": sender,
        "recipient_id": recipient,
        "gift_type": ROSE,
        "quantity": coins,
    }
    return Gift(**given | changes)


class Books:
    """A database with a price list, and a clock that stands still until it is set."""

    def __init__(self, connection: Connection) -> None:
        self.db = connection
        self.now = NOON

    def wait(self, **duration: float) -> None:
        """Let time pass: `books.wait(minutes=15)`."""
        self.now += timedelta(**duration)

    # People

    async def profile(self, coins: int = 0) -> UUID:
        """Sign somebody up, with coins that an operator gave."""
        profile_id = uuid4()
        await self.db.execute("insert into auth.users (id) values ($1)", profile_id)
        if coins:
            await self.adjust(profile_id, coins)
        return profile_id

    async def profiles(self, number: int, coins: int = 0) -> list[UUID]:
        """Sign several people up."""
        return [await self.profile(coins) for _ in range(number)]

    async def unlucky(self) -> UUID:
        """Sign somebody up whose purchases fail for a reason that nobody foresaw."""
        profile_id = await self.profile()
        await self.db.execute(
            "alter table public.coin_purchases"
            f" add constraint unforeseen check (profile_id <> '{profile_id}')"
        )
        return profile_id

    async def adjust(self, profile_id: UUID, amount: int, key: str | None = None) -> int:
        """Move coins as an operator does."""
        balance: int = await self.db.fetchval(
            "select public.update_coin_balance_via_ledger($1, $2, 'adjustment', $3)",
            profile_id,
            amount,
            key or f"adjustment-{next(_numbers)}",
        )
        return balance

    async def coins(self, profile_id: UUID) -> int:
        """What somebody can spend."""
        balance: int = await self.db.fetchval(
            "select coin_balance from public.profiles where id = $1", profile_id
        )
        return balance

    async def earnings(self, profile_id: UUID) -> int:
        """What somebody earned by gifts."""
        balance: int = await self.db.fetchval(
            "select earnings_balance from public.profiles where id = $1", profile_id
        )
        return balance

    # Events

    async def receive(self, *facts: Fact, ids: Sequence[str] | None = None) -> list[int]:
        """Store one event per fact, received now; return their ids in the inbox."""
        names = ids or [f"evt_{next(_numbers)}" for _ in facts]
        rows = [_as_arrival(fact, name) for fact, name in zip(facts, names, strict=True)]
        await self.db.execute(
            "select fleet.store_events($1, $2, $3, $4, $5, $6, $7)",
            *map(list, zip(*rows, strict=True)),
        )
        stored = await self.db.fetch(
            "update fleet.inbox_events as e set received_at = $1, next_attempt_at = $1"
            " from unnest($2::text[], $3::text[]) as n (provider, name)"
            " where e.provider = n.provider and e.provider_event_id = n.name"
            " returning e.id, e.provider_event_id",
            self.now,
            [row[0] for row in rows],
            names,
        )
        by_name = {row["provider_event_id"]: row["id"] for row in stored}
        return [by_name[name] for name in names]

    async def claim(self, limit: int = 500) -> list[asyncpg.Record]:
        """Claim what is due, in the caller's transaction."""
        return await self.db.fetch("select * from fleet.claim_events($1, $2)", limit, self.now)

    async def work(self, limit: int = 500) -> dict[int, Outcome]:
        """Apply one batch of the due events; return their outcomes by event id."""
        async with self.db.transaction():
            rows = [_as_row(event) for event in await self.claim(limit)]
            outcomes = await self.db.fetch(
                "select * from fleet.apply_events($1, $2) order by event_id",
                msgspec.json.encode(rows).decode(),
                self.now,
            )
        return {row["event_id"]: Outcome(row["state"], row["reason"]) for row in outcomes}

    async def apply(self, *facts: Fact) -> list[Outcome]:
        """Receive events and apply them in one batch; return their outcomes in the same order."""
        event_ids = await self.receive(*facts)
        outcomes = await self.work()
        return [outcomes[event_id] for event_id in event_ids]

    async def apply_one(self, fact: Fact) -> Outcome:
        """Receive and apply one event."""
        (outcome,) = await self.apply(fact)
        return outcome

    async def try_again(self, event_id: int) -> None:
        """Make an event pending, as another event of its payment does, or a person."""
        await self.db.execute(
            "update fleet.inbox_events set state = 'pending', next_attempt_at = $2 where id = $1",
            event_id,
            self.now,
        )

    async def wake(self) -> int:
        """Make events pending that have waited long enough, as housekeeping does."""
        woken: int = await self.db.fetchval("select fleet.wake_waiting_events(100, $1)", self.now)
        return woken

    async def event(self, event_id: int) -> asyncpg.Record:
        """The event's row."""
        row = await self.db.fetchrow("select * from fleet.inbox_events where id = $1", event_id)
        assert row is not None
        return row

    async def outcome(self, event_id: int) -> Outcome:
        """The event's state and its reason."""
        event = await self.event(event_id)
        return Outcome(event["state"], event["reason"])

    # Books

    async def purchase(self, payment: Payment) -> asyncpg.Record:
        """The payment's purchase."""
        row = await self.db.fetchrow(
            "select * from public.coin_purchases where provider_payment_id = $1", payment.intent
        )
        assert row is not None
        return row

    async def status(self, payment: Payment) -> str:
        """The status of the payment's purchase."""
        status: str = (await self.purchase(payment))["status"]
        return status

    async def entries(self, profile_id: UUID) -> list[tuple[str, int]]:
        """The reasons and amounts of somebody's ledger entries, in order."""
        rows = await self.db.fetch(
            "select reason, amount from public.ledger_entries where profile_id = $1 order by id",
            profile_id,
        )
        return [(row["reason"], row["amount"]) for row in rows]

    async def breaches(self) -> dict[str, list[asyncpg.Record]]:
        """The rows of each invariant that is broken."""
        return await breaches(self.db)


async def breaches(connection: Connection) -> dict[str, list[asyncpg.Record]]:
    """The rows of each invariant that is broken, read by one quick statement."""
    broken = await connection.fetch(
        " union all ".join(
            f"(select '{name}' as name, to_jsonb(v)::text as row"
            f" from invariants.{name} as v limit 3)"
            for name in INVARIANTS
        )
    )
    found: dict[str, list[asyncpg.Record]] = {}
    for row in broken:
        found.setdefault(row["name"], []).append(row["row"])
    return found


def _as_arrival(fact: Fact, name: str) -> tuple[object, ...]:
    body = msgspec.json.encode(fact)
    # The apps of a store's tests begin with its name: apple.app, google.app.
    provider = getattr(fact, "store_app", "app" if isinstance(fact, Gift) else "stripe")
    return (
        provider.partition(".")[0],
        name,
        EVENT_TYPES.get(type(fact), "test"),
        body,
        sha256(body).digest(),
        "pending",
        None,
    )


def _as_row(event: asyncpg.Record) -> dict[str, object]:
    """Here the payload is the fact itself. The payloads of providers are tested elsewhere."""
    fact = msgspec.json.decode(event["payload"], type=dict[str, object])
    return fact | {
        "event_id": event["id"],
        "provider": event["provider"],
        "provider_event_id": event["provider_event_id"],
        "received_at": event["received_at"],
    }
