"""A held payment to which anything may happen: in the books, and in the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg

from tests.db.approvals.model import Model
from tests.db.books import DUPLICATE, Books, Outcome, Payment

if TYPE_CHECKING:
    from random import Random
    from uuid import UUID

    from db.facts import Fact

PEOPLE = ("ann", "ben", "cleo")
NEW_SKU = "coins_new"
KINDS: dict[str, dict[str, Any]] = {
    "needs_approval": {"units": 30_000},
    "wrong_amount": {"amount_minor": 90},
    "unknown_product": {"sku": NEW_SKU},
    "unknown_buyer": {"profile_id": None, "buyer_unreadable": True},
}
WORTH = {
    "needs_approval": 3_000_000,
    "wrong_amount": 100,
    "unknown_product": None,
    "unknown_buyer": 100,
}
PARTS = (0.1, 0.5, 0.9, 1.0)


class HeldPayment:
    """A payment that is held, in the books and in the model."""

    def __init__(self, books: Books, buyer: UUID, random: Random) -> None:
        self.books, self.buyer, self.random = books, buyer, random
        self.payment = Payment()
        hold: Any = random.choice(list(KINDS))
        self.bought = self.payment.bought(buyer, **KINDS[hold])
        needs_two = random.random() < 0.5
        self.model = Model(
            hold=hold,
            paid=self.bought.amount_minor or 0,
            worth=WORTH[hold],
            needs_two=needs_two,
        )
        self.rule = 0 if needs_two else None
        self.event_id = 0

    async def step(self) -> None:
        """Do one thing, and compare what it answers."""
        model = self.model
        if not model.has_come and self.random.random() < 0.6:
            await self.come()
            return
        steps = [self.refund, self.refund]
        if model.has_come:
            steps += [self.come, self.decide, self.decide]
        if model.hold == "unknown_product":
            steps.append(self.list_package)
        await self.random.choice(steps)()

    async def come(self) -> None:
        """The purchase's event comes, or another that tells the same."""
        is_first = not self.model.has_come
        (event_id,) = await self.books.receive(self.bought)
        outcome = (await self.books.work())[event_id]
        self.model.come()
        if is_first:
            self.event_id = event_id
            return
        # Without a purchase it is held, or ends, as the first did.
        has_purchase = self.model.hold != "unknown_buyer" or self.model.granted is not None
        assert outcome == (DUPLICATE if has_purchase else self.others()), self.model

    def others(self) -> Outcome:
        """What becomes of a second event of a payment without a purchase."""
        if self.model.rejected:
            return Outcome("rejected", "by_decision")
        return self.model.outcome

    async def refund(self) -> None:
        """One of two refunds is told."""
        name, part = self.random.choice(("a", "b")), self.random.choice(PARTS)
        amount, _ = self.model.refunds.get(name, (max(1, int(self.model.paid * part)), ""))
        status = self.random.choice(["pending", "succeeded", "succeeded", "failed"])
        self.model.refund(name, amount, status)
        fact: Fact = self.payment.refund(amount, name, status)
        await self.books.apply_one(fact)

    async def list_package(self) -> None:
        """The product is put into the price list; judging again is left to people here."""
        await self.books.db.execute(
            "insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
            " values ('stripe', $1, 100, 100) on conflict do nothing",
            NEW_SKU,
        )
        self.model.worth = 100

    async def decide(self) -> None:
        """Somebody decides, and is answered as the model says."""
        who, without = self.random.choice(PEOPLE), self.random.random() < 0.3
        approves = self.random.random() < 0.6
        if self.model.hold == "unknown_buyer":
            if approves:
                call = "select state from public.attribute_held_event($1, $2, $3, 'why')"
                answer = await self.ask(call, self.event_id, self.buyer, who)
                answer = None if answer == "pending" else answer
                wanted = self.model.attribute(who)
                await self.books.work()
            else:
                call = "select waits_for from public.reject_held_event($1, $2, 'why', $3)"
                answer = await self.ask(call, self.event_id, who, without)
                wanted = self.model.reject(who, without_refund=without)
        else:
            purchase_id = (await self.books.purchase(self.payment))["id"]
            if approves:
                coins = self.random.choice([None, None, 50, self.model.worth])
                call = "select waits_for from public.approve_coin_purchase($1, $2, 'why', $3)"
                answer = await self.ask(call, purchase_id, who, coins)
                wanted = self.model.approve(who, coins)
            else:
                call = "select waits_for from public.reject_coin_purchase($1, $2, 'why', $3)"
                answer = await self.ask(call, purchase_id, who, without)
                wanted = self.model.reject(who, without_refund=without)
        assert answer == wanted, self.model

    async def ask(self, call: str, *arguments: object) -> str | None:
        """What a decision answers, or the SQLSTATE of its refusal."""
        try:
            answer: str | None = await self.books.db.fetchval(call, *arguments)
        except asyncpg.PostgresError as error:
            return error.sqlstate
        return answer

    async def compare(self) -> None:
        """What is seen of the payment is what the model says."""
        if not self.model.has_come:
            return
        assert await self.books.outcome(self.event_id) == self.model.outcome, self.model
        assert await self.books.coins(self.buyer) == self.model.coins, self.model
        status = await self.books.db.fetchval(
            "select status from public.coin_purchases where provider_payment_id = $1",
            self.payment.intent,
        )
        assert status == self.model.status, self.model
