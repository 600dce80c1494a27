"""What the books should say, in plain Python: one event after the other, no set, no lock, no SQL.

It follows REQUIREMENTS and the contract, not the functions of db/; fractions are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from db.facts import (
    ChargeFailed,
    Dispute,
    Fact,
    Gift,
    Purchase,
    Refund,
    RefundTotal,
    Verdict,
)
from tests.db.books import Outcome
from tests.db.ledger_payments import USD_PER_UNIT, Bought, Hold, Paid, PaymentState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from uuid import UUID

MINUTE = timedelta(minutes=1)
GIFT_PATIENCE = timedelta(seconds=5)
METADATA_PATIENCE = timedelta(minutes=15)
REVERSAL_PATIENCE = timedelta(days=35)
PURCHASES_PER_MINUTE = 5
Reversal: TypeAlias = Refund | RefundTotal | Dispute | ChargeFailed


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
        for payment in {id(p): p for p in self.payments.values()}.values():
            self._close_holds(payment)
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

    def _payment(self, fact: Purchase | Reversal | Verdict) -> PaymentState:
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
        self._close_holds(payment)
        self._ignore_waiting(payment)

    def _ignore_waiting(self, payment: PaymentState) -> None:
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
                if event.state == "held":
                    paid = Paid(fact.amount_minor, fact.currency)
                    payment.hold(Hold(paid, event.id, event.reason))
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
            event.id,
            fact.profile_id,
            coins,
            fact.amount_minor,
            fact.currency,
            fact.purchased_at,
            hold,
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
        if fact.currency not in USD_PER_UNIT:
            return "no_fx_rate"
        asked = (price.amount_minor * fact.quantity, price.currency)
        if asked != (fact.amount_minor, fact.currency):
            return "wrong_amount"
        cents = fact.amount_minor * USD_PER_UNIT[fact.currency]
        if cents > 50_000_00:
            return "over_limit"
        if self._too_fast(fact):
            return "velocity"
        return "needs_approval" if cents > 25_000_00 else None

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
        told = [(e, e.fact) for e in batch if isinstance(e.fact, Reversal)]
        for _, fact in told:
            payment = self._payment(fact)
            match fact:
                case Refund():
                    payment.refunds.append(fact)
                case RefundTotal():
                    payment.totals.append(fact)
                case Dispute():
                    payment.disputes.append(fact)
        for _, fact in told:
            payment = self._payment(fact)
            if payment.bought:
                self._settle(payment)
                continue
            self._close_holds(payment)
            if payment.foreign:
                self._ignore_waiting(payment)
        for event, fact in told:
            event.state, event.reason = self._reverse(event, fact, self._payment(fact))

    def _reverse(self, event: Event, fact: Reversal, payment: PaymentState) -> Outcome:
        is_failure = isinstance(fact, ChargeFailed)
        if payment.bought:
            is_alarm = isinstance(fact, Dispute) and payment.lacks_a_rate
            reason = "no_fx_rate" if is_alarm else None
            return (
                Outcome("rejected", "charge_failed") if is_failure else Outcome("applied", reason)
            )
        if payment.is_given_back and not is_failure:
            return Outcome("applied")
        if payment.foreign:
            return Outcome("ignored", "not_ours")
        if event.received + REVERSAL_PATIENCE > self.now:
            return Outcome("waiting", "no_purchase_yet")
        return Outcome(*("ignored", "charge_failed") if is_failure else ("rejected", "no_purchase"))

    def _settle(self, payment: PaymentState) -> None:
        """Bring the purchase to what is known of its reversals; close what waited for it."""
        bought = payment.bought
        assert bought
        payment.foreign = False
        back = min(payment.refunded + payment.outstanding, Fraction(bought.paid))
        if payment.is_given_back:
            bought.status = "chargeback" if payment.outstanding else "refunded"
        else:
            bought.status = "pending" if bought.hold else "confirmed"
        if not bought.hold:
            target = int(bought.coins * back / bought.paid)
            self.accounts[bought.buyer].coins -= target - bought.taken
            bought.taken = target
        for event in self._events_of(payment, "waiting", "held"):
            if event.id == bought.event_id:
                continue
            if event.reason != "no_purchase_yet":
                event.state, event.reason = "applied", "duplicate_payment"
            elif isinstance(event.fact, ChargeFailed) or (
                isinstance(event.fact, Dispute) and payment.lacks_a_rate
            ):
                # To be judged again, so that the alarm is raised.
                event.state = "pending"
            else:
                event.state, event.reason = "applied", None

    def _close_holds(self, payment: PaymentState) -> None:
        """What went back whole is held no more; what came again is held again."""
        if payment.bought:
            own = self.events[payment.bought.event_id]
            closed, reason = payment.bought.status != "pending", payment.bought.hold
            held = [own] if reason and own.state == "held" else []
        elif payment.held:
            own = self.events[payment.held.event_id]
            closed, reason = payment.is_given_back, payment.held.reason
            held = self._events_of(payment, "held")
            for event in self._events_of(payment, "waiting") if closed else []:
                if event.reason == "no_purchase_yet" and not isinstance(event.fact, ChargeFailed):
                    event.state, event.reason = "applied", None
        else:
            return
        for event in held if closed else []:
            event.state, event.reason = "applied", "refunded_while_held"
        if not closed and own.outcome == Outcome("applied", "refunded_while_held"):
            own.state, own.reason = "held", reason
