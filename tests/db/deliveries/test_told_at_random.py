"""What the app knows from its messages alone is what is true, whatever happens to a payment."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.db.approvals.decisions import let_people_be_named, set_rules
from tests.db.approvals.held_payment import HeldPayment
from tests.db.deliveries.messages import Messages

if TYPE_CHECKING:
    from tests.db.books import Books
    from tests.db.deliveries.messages import Message

pytestmark = pytest.mark.requirement("I2")

SIGNS = {"purchase.credited": 1, "purchase.reversed": -1, "purchase.reinstated": 1}


class App:
    """An app that hears messages in any order, some of them twice, and follows the rules."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.heard: dict[str, Message] = {}

    def hear(self, messages: list[Message]) -> None:
        """Take each message once."""
        arrived = messages * 2
        self.random.shuffle(arrived)
        for message in arrived:
            self.heard.setdefault(message.key, message)

    @property
    def coins(self) -> int:
        """What the messages add up to."""
        moved = [message for message in self.heard.values() if message.type in SIGNS]
        return sum(SIGNS[message.type] * message.data["coins"] for message in moved)

    @property
    def balance(self) -> int:
        """The balance of the newest entry that it heard of."""
        entries = [m.data for m in self.heard.values() if m.data["seq"] is not None]
        return max(entries, key=lambda data: data["seq"])["coin_balance"] if entries else 0

    @property
    def state(self) -> str | None:
        """What became of the payment: of its messages the latest counts."""
        if not self.heard:
            return None
        latest = max(self.heard.values(), key=lambda message: message.timestamp)
        return "credited" if latest.type in SIGNS else latest.type.removeprefix("purchase.")


def state_of(held: HeldPayment) -> str | None:
    """What should be known of the payment."""
    model = held.model
    if not model.has_come:
        return None
    if model.granted is not None:
        return "credited"
    return "rejected" if model.rejected or model.is_whole else "held"


async def try_payment(books: Books, seed: int) -> None:
    """Let a dozen things happen; after each the app knows what the model says."""
    random = Random(seed)
    held = HeldPayment(books, await books.profile(), random)
    app, messages = App(random), Messages(books)
    await set_rules(books.db, second_above=held.rule)
    transaction = str(await books.db.fetchval("select pg_current_xact_id()"))
    for step in range(12):
        await held.step()
        # All steps are one transaction here; in production each has a number of its own.
        app.hear(
            [
                replace(message, key=re.sub(rf"-{transaction}$", f"-step-{step}", message.key))
                for message in await messages.all()
            ]
        )
        await books.db.execute("delete from fleet.provider_calls where kind = 'app.deliver'")
        assert app.state == state_of(held), (seed, held.model)
        assert app.coins == app.balance == held.model.coins, (seed, held.model)


async def try_seeds(books: Books, seeds: range) -> None:
    """Try each, and undo what it did before the next."""
    await let_people_be_named(books.db)
    await books.db.execute("update fleet.settings set app_told_since = clock_timestamp()")
    for seed in seeds:
        transaction = books.db.transaction()
        await transaction.start()
        try:
            await try_payment(books, seed)
        finally:
            await transaction.rollback()


async def test_the_messages_of_a_payment_say_what_became_of_it(books: Books) -> None:
    await try_seeds(books, range(12))


@pytest.mark.long
async def test_the_messages_of_many_payments_say_what_became_of_them(books: Books) -> None:
    await try_seeds(books, range(12, 1_000))
