"""What the books should say, in plain Python: one event after the other, no set, no lock, no SQL.

It follows REQUIREMENTS and the contract, not the functions of db/; fractions are exact.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from db.facts import Dispute, Fact, Gift, Purchase, Refund, RefundTotal, Verdict
from tests.db.books import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from uuid import UUID

MINUTE = timedelta(minutes=1)
GIFT_PATIENCE = timedelta(seconds=5)
METADATA_PATIENCE = timedelta(minutes=15)
REVERSAL_PATIENCE = timedelta(days=35)
PURCHASES_PER_MINUTE = 5
STANDING = ("pending", "requires_action", "succeeded")
UNDONE = ("failed", "canceled")


class Price(NamedTuple):
    """A line of the price list."""

    coins: int
    amount_minor: int
    currency: str = "usd"


class GiftPrice(NamedTuple):
    """What a gift costs, and the streamer's part of it."""

    coins: int
    share_bps: int


@dataclass
class Account:
    """A profile."""

    coins: int = 0
    earnings: int = 0
    bought: int = 0
    spent: int = 0
    received: int = 0


@dataclass
class Bought:
    """A recorded purchase."""

    event_id: int
    buyer: UUID
    coins: int
    paid: int
    at: datetime
    hold: str | None
    taken: int = 0
    status: str = "pending"


@dataclass(eq=False)
class PaymentState:
    """All that is known of one payment."""

    bought: Bought | None = None
    foreign: bool = False
    total: int = 0
    refunds: dict[str, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))
    disputes: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)

    def absorb(self, other: PaymentState) -> None:
        """Learn that another payment is this one."""
        self.bought = self.bought or other.bought
        self.foreign |= other.foreign
        self.total = max(self.total, other.total)
        for refund_id, told in other.refunds.items():
            self.refunds[refund_id] |= told
        self.disputes |= other.disputes

    @property
    def outstanding(self) -> Fraction:
        """What disputes have out of the money now."""
        out = Fraction(0)
        for amount, moved in self.disputes.values():
            largest = max((-moved_amount for moved_amount in moved.values()), default=0)
            if largest > 0:
                back = Fraction(-sum(moved.values()), largest)
                out += amount * min(max(back, Fraction(0)), Fraction(1))
        return out

    @property
    def reversed(self) -> Fraction:
        """What was taken back of the money by now."""
        standing = undone = 0
        for told in self.refunds.values():
            amount = max(amount for _, amount in told)
            if any(status in UNDONE for status, _ in told):
                undone += amount
            else:
                standing += amount
        return max(standing, self.total - undone) + self.outstanding


@dataclass
class Event:
    """An event of the inbox."""

    id: int
    fact: Fact
    received: datetime
    state: str = "pending"
    reason: str | None = None

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.state, self.reason)


class Model:
    """The books of one fleet."""

    def __init__(
        self, *, now: datetime, prices: Iterable[tuple[str, Price]], gifts: Mapping[str, GiftPrice]
    ) -> None:
        self.now = now
        self.prices = list(prices)
        self.gift_prices = gifts
        self.accounts: dict[UUID, Account] = {}
        self.events: dict[int, Event] = {}
        self.payments: dict[str, PaymentState] = {}

    def receive(self, event_id: int, fact: Fact, *, received: datetime) -> None:
        """Store an event."""
        self.events[event_id] = Event(event_id, fact, received)

    def wake(self) -> None:
        """Make events pending that waited long enough."""
        for event in self.events.values():
            patience = REVERSAL_PATIENCE if event.reason == "no_purchase_yet" else METADATA_PATIENCE
            if event.state == "waiting" and event.received + patience <= self.now:
                event.state = "pending"

    @property
    def pending(self) -> list[Event]:
        """What is to be done, the oldest first."""
        return [event for _, event in sorted(self.events.items()) if event.state == "pending"]

    def work(self, limit: int, *, elsewhere: Collection[int] = ()) -> dict[int, Outcome]:
        """Apply the oldest pending events that no other worker holds; gives their outcomes."""
        batch = [event for event in self.pending if event.id not in elsewhere][:limit]
        for event in batch:
            self._learn_names(event.fact)
        self._verdicts(batch)
        self._purchases(batch)
        self._gifts(batch)
        self._reversals(batch)
        return {event.id: event.outcome for event in batch}

    # Payments

    def _learn_names(self, fact: Fact) -> None:
        keys = [] if isinstance(fact, Gift) else fact.payment_keys or []
        if not keys:
            return
        states = list({id(s): s for k in keys if (s := self.payments.get(k))}.values())
        # The one with the purchase stays.
        kept = next((s for s in states if s.bought), states[0] if states else PaymentState())
        for state in states:
            if state is not kept:
                kept.absorb(state)
        for name in [*keys, *(k for k, s in self.payments.items() if s in states)]:
            self.payments[name] = kept

    def _payment(self, fact: Purchase | Refund | RefundTotal | Dispute | Verdict) -> PaymentState:
        assert fact.payment_keys
        return self.payments[fact.payment_keys[0]]

    def _events_of(self, payment: PaymentState, *states: str) -> list[Event]:
        return [
            event
            for event in self.events.values()
            if event.state in states
            and not isinstance(event.fact, Gift)
            and event.fact.payment_keys
            and self._payment(event.fact) is payment
        ]

    def _verdicts(self, batch: list[Event]) -> None:
        for event in batch:
            if isinstance(event.fact, Verdict):
                event.state, event.reason = event.fact.state, event.fact.reason
                if event.fact.payment_keys:
                    self._not_ours(self._payment(event.fact))

    def _not_ours(self, payment: PaymentState) -> None:
        if payment.bought:
            self._settle(payment)
            return
        payment.foreign = True
        for event in self._events_of(payment, "waiting"):
            if event.reason == "no_purchase_yet":
                event.state, event.reason = "ignored", "not_ours"

    # Purchases

    def _purchases(self, batch: list[Event]) -> None:
        told = [(e, e.fact) for e in batch if isinstance(e.fact, Purchase)]
        complete = {
            id(self._payment(fact)): event
            for event, fact in reversed(told)
            if fact.profile_id in self.accounts and fact.sku
        }
        for event, fact in told:
            payment = self._payment(fact)
            first = complete.get(id(payment))
            if payment.bought is None and first is event:
                self._record(event, fact, payment)
            elif payment.bought or first:
                event.state, event.reason = "applied", "duplicate_payment"
            else:
                event.state, event.reason = self._incomplete(event, fact)
        for _, fact in told:
            if self._payment(fact).bought:
                self._settle(self._payment(fact))

    def _incomplete(self, event: Event, fact: Purchase) -> Outcome:
        if fact.buyer_unreadable or (fact.profile_id and fact.profile_id not in self.accounts):
            return Outcome("held", "unknown_buyer")
        if event.received + METADATA_PATIENCE > self.now:
            return Outcome("waiting", "incomplete_metadata")
        return Outcome("held", "unknown_product" if fact.profile_id else "unknown_buyer")

    def _record(self, event: Event, fact: Purchase, payment: PaymentState) -> None:
        assert fact.profile_id
        offers = [price for sku, price in self.prices if sku == fact.sku]
        price = next(
            (p for p in offers if p.currency == fact.currency), offers[0] if offers else None
        )
        hold = self._hold(fact, price)
        coins = price.coins * fact.quantity if price else 0
        payment.bought = Bought(
            event.id, fact.profile_id, coins, fact.amount_minor, fact.purchased_at, hold
        )
        event.state, event.reason = ("held", hold) if hold else ("applied", None)
        if not hold:
            payment.bought.status = "confirmed"
            account = self.accounts[fact.profile_id]
            account.coins += coins
            account.bought += coins

    def _hold(self, fact: Purchase, price: Price | None) -> str | None:
        if price is None:
            return "unknown_product"
        if fact.currency != "usd":
            return "no_fx_rate"
        if (price.amount_minor * fact.quantity, price.currency) != (fact.amount_minor, "usd"):
            return "wrong_amount"
        if fact.amount_minor > 50_000_00:
            return "over_limit"
        if self._too_fast(fact):
            return "velocity"
        return "needs_approval" if fact.amount_minor > 25_000_00 else None

    def _too_fast(self, fact: Purchase) -> bool:
        bought = {id(p): p.bought for p in self.payments.values() if p.bought}.values()
        times = [b.at for b in bought if b.buyer == fact.profile_id] + [fact.purchased_at]
        return any(
            start <= fact.purchased_at < start + MINUTE
            and sum(start <= at < start + MINUTE for at in times) > PURCHASES_PER_MINUTE
            for start in times
        )

    # Gifts

    def _gifts(self, batch: list[Event]) -> None:
        ids = {event.id for event in batch}
        for event in batch:
            if isinstance(event.fact, Gift):
                refusal = self._give(event.fact)
                event.state, event.reason = ("rejected", refusal) if refusal else ("applied", None)
                is_young = event.received + GIFT_PATIENCE > self.now
                if refusal == "insufficient_coins" and is_young and self._open_before(event, ids):
                    event.state = "pending"

    def _open_before(self, event: Event, batch: set[int]) -> bool:
        return any(
            e.id < event.id and e.id not in batch and e.state == "pending"
            for e in self.events.values()
        )

    def _give(self, gift: Gift) -> str | None:
        price = self.gift_prices.get(gift.gift_type)
        if price is None:
            return "unknown_gift_type"
        if gift.sender_id == gift.recipient_id:
            return "self_gift"
        sender, recipient = self.accounts.get(gift.sender_id), self.accounts.get(gift.recipient_id)
        if sender is None or recipient is None:
            return "unknown_recipient" if sender else "unknown_sender"
        coins = price.coins * gift.quantity
        if sender.coins < coins:
            return "insufficient_coins"
        sender.coins -= coins
        sender.spent += coins
        recipient.earnings += coins * price.share_bps // 10_000
        recipient.received += coins
        return None

    # Reversals

    def _reversals(self, batch: list[Event]) -> None:
        for event in batch:
            match event.fact:
                case Refund(refund_id=refund_id, amount_minor=amount, status=status):
                    self._payment(event.fact).refunds[refund_id].add((status, amount))
                case RefundTotal(cumulative_minor=total):
                    payment = self._payment(event.fact)
                    payment.total = max(payment.total, total)
                case Dispute(dispute_id=dispute_id, amount_minor=amount, transactions=moved):
                    disputes = self._payment(event.fact).disputes
                    known, transactions = disputes.get(dispute_id, (0, {}))
                    transactions = {t.id: t.amount for t in moved} | transactions
                    disputes[dispute_id] = (max(known, amount), transactions)
                case _:
                    continue
            self._reverse(event, self._payment(event.fact))

    def _reverse(self, event: Event, payment: PaymentState) -> None:
        if payment.bought:
            event.state, event.reason = "applied", None
            self._settle(payment)
        elif payment.foreign:
            event.state, event.reason = "ignored", "not_ours"
        elif event.received + REVERSAL_PATIENCE > self.now:
            event.state, event.reason = "waiting", "no_purchase_yet"
        else:
            event.state, event.reason = "rejected", "no_purchase"

    def _settle(self, payment: PaymentState) -> None:
        """Bring the purchase to what is known of its reversals; close what waited for it."""
        bought = payment.bought
        assert bought
        back = min(payment.reversed, Fraction(bought.paid))
        is_whole = 0 < bought.paid <= back
        if is_whole:
            bought.status = "chargeback" if payment.outstanding else "refunded"
        else:
            bought.status = "pending" if bought.hold else "confirmed"
        if not bought.hold:
            target = int(bought.coins * back / bought.paid)
            self.accounts[bought.buyer].coins -= target - bought.taken
            bought.taken = target
        for event in self._events_of(payment, "waiting", "held"):
            if event.id != bought.event_id:
                reason = None if event.reason == "no_purchase_yet" else "duplicate_payment"
                event.state, event.reason = "applied", reason
