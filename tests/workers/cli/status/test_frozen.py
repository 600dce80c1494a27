"""`coinfleet purchases frozen|release`, `explain` and `status`: what people see of freezes."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.db.books import PRICE_LIST, Books, Payment
from tests.workers.cli.operators import coinfleet
from tests.workers.cli.status.questions import health_of
from workers.cli.explain.words import SAYINGS
from workers.cli.status.report import show
from workers.cli.terminal import make_console

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.clusters import Database

pytestmark = pytest.mark.requirement("C6", "C7")


@pytest.fixture
def books(db: Connection) -> Books:
    """Books of the test's own, which commands look at from outside."""
    return Books(db)


async def frozen(books: Books, payment: Payment) -> tuple[UUID, int]:
    """Somebody who bought 1,000 coins that are frozen, and the purchase."""
    await books.db.execute(PRICE_LIST)
    buyer = await books.profile()
    await books.apply(payment.bought(buyer, units=10), payment.review(), payment.freeze())
    return buyer, (await books.purchase(payment))["id"]


def run(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as the login of this address."""
    return coinfleet(*words, OPERATOR_DATABASE_URL=url, DATABASE_URL=url, COLUMNS="300")


async def test_what_is_frozen_is_listed_and_released_by_a_person(
    books: Books, database: Database
) -> None:
    url = database.url("operator")
    nothing = run(url, "purchases", "frozen")
    assert (nothing.returncode, nothing.stdout) == (0, "nothing is frozen\n")
    payment = Payment()
    buyer, purchase_id = await frozen(books, payment)
    listed = run(url, "purchases", "frozen")
    assert listed.returncode == 0, listed.stderr
    row = listed.stdout.splitlines()[1]
    assert str(buyer) in row
    assert "1,000" in row
    assert f"early_fraud_warning issfr_{payment.number}, review prv_{payment.number}" in row
    told = json.loads(run(url, "purchases", "frozen", "--json").stdout)
    assert [each["purchase_id"] for each in told["frozen"]] == [purchase_id]

    causes = f"early_fraud_warning issfr_{payment.number}, review prv_{payment.number}"
    shown = run(url, "purchases", "show", str(purchase_id)).stdout
    assert f"frozen by {causes}: nobody can give its coins away yet" in shown

    done = run(url, "purchases", "release", str(purchase_id), "--reason", "known")
    assert "frozen" not in run(url, "purchases", "show", str(purchase_id)).stdout
    assert done.returncode == 0, done.stderr
    assert "is released from" in done.stdout
    assert "1,000 coins can be spent now" in done.stdout
    assert await books.db.fetchval("select who from fleet.operator_actions") == "coinfleet_operator"
    again = run(url, "purchases", "release", str(purchase_id), "--reason", "known")
    assert again.returncode == 1
    assert again.stdout == f"Nothing of purchase {purchase_id} is frozen.\n"


@pytest.mark.long
def test_a_release_without_a_reason_or_a_purchase_is_refused(database: Database) -> None:
    url = database.url("operator")
    assert run(url, "purchases", "release", "1", "--reason", " ").returncode == 2
    missing = run(url, "purchases", "release", "17", "--reason", "y")
    assert missing.returncode == 2
    assert "no purchase has the id 17" in missing.stderr
    refused = run(database.url("web"), "purchases", "release", "17", "--reason", "y")
    assert refused.returncode == 2
    assert "may not decide" in refused.stderr


@pytest.mark.long
async def test_explain_tells_what_froze_a_payment_and_until_when(
    books: Books, database: Database
) -> None:
    payment = Payment()
    buyer, purchase_id = await frozen(books, payment)
    url = database.url()
    told = run(url, "explain", f"prv_{payment.number}").stdout
    assert f"review prv_{payment.number} froze the payment's coins: they can't be spent" in told
    assert "(1,000 of them frozen)" in run(url, "explain", str(buyer)).stdout
    await books.db.execute("select public.release_coin_purchase($1, '', 'known')", purchase_id)
    told = run(url, "explain", payment.intent).stdout
    assert f"early fraud warning issfr_{payment.number} froze the payment's coins until" in told
    assert "because “known”" in told
    assert "freeze" in SAYINGS


@pytest.mark.usefixtures("at_work")
async def test_status_tells_how_many_coins_are_frozen(
    books: Books, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    health = await health_of(database)
    show(make_console(), health)
    assert "frozen: none" in capsys.readouterr().out
    await frozen(books, Payment())
    health = await health_of(database)
    assert (health.frozen.purchases, health.frozen.coins, health.frozen.freezes) == (1, 1_000, 2)
    show(make_console(), health)
    assert "frozen: 1,000 coins of 1 purchase (2 freezes), the oldest" in capsys.readouterr().out
