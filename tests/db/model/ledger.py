"""The books as they should be, in plain Python: event by event, without sets, locks or SQL.

It follows REQUIREMENTS and the contract, not the functions of db/; fractions are exact.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

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
from tests.db.model.accounts import Account, Event, GiftPrice
from tests.db.model.halves import Reading, Together, is_ours, together
from tests.db.model.payments import Bought, Hold, Paid, PaymentState
from tests.db.model.prices import Judge

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from uuid import UUID

    from tests.db.model.prices import Price

GIFT_PATIENCE = timedelta(seconds=5)
METADATA_PATIENCE = timedelta(minutes=15)
REVERSAL_PATIENCE = timedelta(days=35)
# The reasons for which an event waits or is held until another half comes, or a purchase.
JUDGED_AGAIN = ("no_session_yet", "incomplete_metadata", "unknown_buyer", "unknown_product")
AMENDED = ("wrong_amount", "unknown_product", "unknown_buyer", "no_fx_rate")
Reversal: TypeAlias = Refund | RefundTotal | Dispute | ChargeFailed


class Model:
    """The books of one fleet."""

    def __init__(
        self, *, now: datetime, prices: Iterable[tuple[str, Price]], gifts: Mapping[str, GiftPrice]
    ) -> None:
        self.now = now
        self._judge = Judge(list(prices))
        self.gift_prices = gifts
        self.accounts: dict[UUID, Account] = {}
        self.events: dict[int, Event] = {}
        self.payments: dict[str, PaymentState] = {}

    def receive(self, event_id: int, fact: Fact, *, received: datetime) -> None:
        """Store an event."""
        self.events[event_id] = Event(event_id, fact, received)

    def wake(self) -> None:
        """Make events pending that have waited long enough."""
        for event in self.events.values():
            patience = REVERSAL_PATIENCE if event.reason == "no_purchase_yet" else METADATA_PATIENCE
            if event.state == "waiting" and event.received + patience <= self.now:
                event.state = "pending"

    @property
    def pending(self) -> list[Event]:
        """The pending events, the oldest first."""
        return [event for _, event in sorted(self.events.items()) if event.state == "pending"]

    def work(self, limit: int, *, elsewhere: Collection[int] = ()) -> dict[int, Outcome]:
        """Apply the oldest pending events that no other worker holds; return their outcomes."""
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
        # The payment that has the purchase stays.
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
        told = [(e, e.fact) for e in batch if isinstance(e.fact, Verdict)]
        for event, fact in told:
            event.state, event.reason = fact.state, fact.reason
        named = [(e, fact, self._payment(fact)) for e, fact in told if fact.payment_keys]
        for _, _, payment in named:
            is_told = any(is_ours(half) for half in payment.halves.values())
            payment.foreign |= not (payment.bought or is_told)
        for event, fact, payment in named:
            if fact.half and not payment.is_granted:
                payment.halves[event.id] = fact.half
        for payment in [payment for _, fact, payment in named if fact.half]:
            self._judge_again(payment)
        for _, _, payment in named:
            if payment.bought:
                self._settle(payment)
            else:
                self._close_holds(payment)
                self._ignore_waiting(payment)

    def _judge_again(self, payment: PaymentState) -> None:
        self._amend(payment)
        if not payment.bought:
            self._wake(payment, *JUDGED_AGAIN)

    def _wake(
        self, payment: PaymentState, *reasons: str, elsewhere: Collection[Event] = ()
    ) -> None:
        for event in self._events_of(payment, "waiting", "held"):
            if event.reason in reasons and event not in elsewhere:
                event.state = "pending"

    def _ignore_waiting(self, payment: PaymentState) -> None:
        for event in self._events_of(payment, "waiting"):
            if event.reason == "no_purchase_yet" and payment.foreign:
                event.state, event.reason = "ignored", "not_ours"

    # Purchases

    def _purchases(self, batch: list[Event]) -> None:
        told = [(e, e.fact) for e in batch if isinstance(e.fact, Purchase)]
        payments = list({id(p): p for _, fact in told if (p := self._payment(fact))}.values())
        readings = {id(payment): self._read(payment, told) for payment in payments}
        for event, fact in told:
            payment = self._payment(fact)
            # It carries some of our metadata.
            payment.foreign = False
            self._decide(event, fact, payment, readings[id(payment)])
        for event, fact in told:
            if not self._payment(fact).is_granted:
                self._payment(fact).halves[event.id] = fact
            if fact.told_by == "session" and not self._payment(fact).bought:
                self._wake(self._payment(fact), "no_session_yet", elsewhere=batch)
        for payment in payments:
            if readings[id(payment)].is_known:
                self._amend(payment)
            if payment.bought:
                self._settle(payment)
            else:
                self._close_holds(payment, elsewhere=batch)

    def _read(self, payment: PaymentState, told: list[tuple[Event, Purchase]]) -> Reading:
        """Read what all events say, and which event of the batch becomes the purchase."""
        mine = [(event, fact) for event, fact in told if self._payment(fact) is payment]
        said = together([*payment.halves.values(), *(fact for _, fact in mine)])
        whole = [event for event, fact in mine if fact.profile_id and fact.sku]
        is_complete = said.buyer in self.accounts and (said.sku or said.hold)
        creator = (whole or [event for event, _ in mine])[0] if is_complete else None
        waits = creator is not None and not payment.bought and self._awaits_session(creator, said)
        return Reading(said, creator, is_known=payment.bought is not None, waits=waits)

    def _decide(self, event: Event, fact: Purchase, payment: PaymentState, read: Reading) -> None:
        if read.waits:
            event.state, event.reason = "waiting", "no_session_yet"
        elif not read.is_known and read.creator is event:
            self._record(event, fact, payment, read.said)
        elif read.is_known or read.creator:
            event.state, event.reason = "applied", "duplicate_payment"
        else:
            event.state, event.reason = self._incomplete(event, read.said)
            if event.state == "held":
                paid = Paid(fact.amount_minor, fact.currency)
                payment.hold(Hold(paid, event.id, event.reason))

    def _awaits_session(self, event: Event, said: Together) -> bool:
        fact = event.fact
        assert isinstance(fact, Purchase)
        return (
            self._hold_reason(fact, said) == "wrong_amount"
            and not said.hold
            and not said.has_session
            and fact.told_by == "intent"
            and event.received + METADATA_PATIENCE > self.now
        )

    def _incomplete(self, event: Event, said: Together) -> Outcome:
        if said.names_nobody or (said.buyer and said.buyer not in self.accounts):
            return Outcome("held", "unknown_buyer")
        if event.received + METADATA_PATIENCE > self.now:
            return Outcome("waiting", "incomplete_metadata")
        return Outcome("held", "unknown_product" if said.buyer else "unknown_buyer")

    def _record(self, event: Event, fact: Purchase, payment: PaymentState, said: Together) -> None:
        assert said.buyer
        hold = self._hold_reason(fact, said)
        payment.bought = Bought(
            event_id=event.id,
            buyer=said.buyer,
            coins=self._judge.coins(fact, said),
            paid=fact.amount_minor,
            currency=fact.currency,
            at=fact.purchased_at,
            hold=hold,
        )
        event.state, event.reason = ("held", hold) if hold else ("applied", None)
        if not hold:
            self._grant(payment.bought)

    def _grant(self, bought: Bought) -> None:
        bought.status = "confirmed"
        self.accounts[bought.buyer].coins += bought.coins
        self.accounts[bought.buyer].bought += bought.coins

    def _amend(self, payment: PaymentState) -> None:
        """Judge again a purchase that was held for its metadata or its amount."""
        bought = payment.bought
        if not bought or bought.status != "pending" or bought.hold not in AMENDED:
            return
        event = self.events[bought.event_id]
        fact = payment.halves[event.id]
        assert isinstance(fact, Purchase)
        said = together(list(payment.halves.values()))
        if said.buyer in self.accounts and (said.sku or said.hold):
            assert said.buyer
            payment.bought = None
            hold = self._hold_reason(fact, said)
            payment.bought = bought
            bought.buyer, bought.coins = said.buyer, self._judge.coins(fact, said)
        else:
            state, hold = self._incomplete(event, said)
            if state == "waiting":
                return
        bought.hold = hold
        event.state, event.reason = ("held", hold) if hold else ("applied", None)
        if not hold:
            self._grant(bought)

    def _hold_reason(self, fact: Purchase, said: Together) -> str | None:
        bought = {id(p): p.bought for p in self.payments.values() if p.bought}.values()
        others = [b.at for b in bought if b.buyer == said.buyer]
        return self._judge.hold_reason(fact, said, others)

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
        if payment.bought and is_failure:
            return Outcome("rejected", "charge_failed")
        if payment.bought or (payment.is_given_back and not is_failure):
            is_alarm = isinstance(fact, Dispute) and payment.lacks_a_rate
            return Outcome("applied", "no_fx_rate" if is_alarm else None)
        if payment.foreign:
            return Outcome("ignored", "not_ours")
        held = payment.held and not self.events[payment.held.event_id].is_final
        if event.received + REVERSAL_PATIENCE > self.now or held:
            return Outcome("waiting", "no_purchase_yet")
        return Outcome(*("ignored", "charge_failed") if is_failure else ("rejected", "no_purchase"))

    def _settle(self, payment: PaymentState) -> None:
        """Make the purchase agree with its reversals; close the events that waited for it."""
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

    def _close_holds(self, payment: PaymentState, elsewhere: Collection[Event] = ()) -> None:
        """A hold ends if all money was returned, and comes back if the return failed."""
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
            if event not in elsewhere:
                event.state, event.reason = "applied", "refunded_while_held"
        if not closed and own.outcome == Outcome("applied", "refunded_while_held"):
            own.state, own.reason = "held", reason
