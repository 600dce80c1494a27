"""Sales in Google Play: pushed by Google, submitted by clients, and taken back.

All that was sold, and what went back of it, is known to the mock of Google before anything is told:
each event reads the same, in whatever order they come.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tasks.providers.google import Google
from workers.cli.simulate.cases.purchases import GRANTED_BY_EITHER
from workers.cli.simulate.plan import Outcome
from workers.cli.simulate.stores import google
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from workers.cli.simulate.sale import Sale
    from workers.cli.simulate.scenario import Scenario

THREE = 3
# A fleet with mock providers has the settings for development.
PACKAGE = DEVELOPMENT_SECRETS["GOOGLE_PACKAGES"]


def sell(scenario: Scenario) -> None:
    """Sell; Google and the buyer's client both tell of it, and either grants it."""
    sale = _sold(scenario)
    _tell(scenario, sale, google.purchased(sale))
    _submit(scenario, sale, sale.buyer)
    scenario.expect_sale(sale)


def sell_to_somebody_unnamed(scenario: Scenario) -> None:
    """Sell without a name of the buyer: it belongs to whoever submits it."""
    sale = _sold(scenario, is_named=False)
    waits = Outcome("waiting", "no_buyer_yet")
    _tell(scenario, sale, google.purchased(sale), outcomes=(*GRANTED_BY_EITHER, waits))
    _submit(scenario, sale, sale.buyer)
    scenario.expect_sale(sale)


def steal(scenario: Scenario) -> None:
    """Submit what was sold to somebody else."""
    sale = _sold(scenario)
    _tell(scenario, sale, google.purchased(sale))
    thief = scenario.add_person("thief")
    _submit(scenario, sale, thief, outcomes=(Outcome("rejected", "not_the_buyer"),))
    scenario.expect_sale(sale)


def refund_one_of_three(scenario: Scenario) -> None:
    """Sell three and refund one."""
    sale = _sold(scenario, quantity=THREE, refunded=1)
    _tell(scenario, sale, google.purchased(sale))
    _tell(scenario, sale, google.voided(sale, is_whole=False))
    scenario.expect_sale(sale, reversed_quantity=1)


def refund_in_full(scenario: Scenario) -> None:
    """Sell and refund all of it."""
    sale = _sold(scenario, quantity=1, refunded=1)
    _tell(scenario, sale, google.purchased(sale))
    _tell(scenario, sale, google.voided(sale, is_whole=True))
    scenario.expect_sale(sale, reversed_quantity=1)


def sell_to_a_tester(scenario: Scenario) -> None:
    """Sell for nothing, to a license tester."""
    sale = _sold(scenario, is_test=True)
    _tell(scenario, sale, google.purchased(sale), outcomes=(Outcome("ignored", "sandbox"),))


def _sold(scenario: Scenario, *, refunded: int = 0, is_test: bool = False, **fields: Any) -> Sale:
    sale = scenario.make_sale(**fields)
    made = google.made_sale(sale, refunded=refunded, is_test=is_test)
    scenario.plan.google_sales.append(made)
    return sale


def _tell(
    scenario: Scenario,
    sale: Sale,
    told: dict[str, Any],
    *,
    outcomes: Sequence[Outcome] = GRANTED_BY_EITHER,
) -> None:
    event_id = f"{scenario.plan.run}-google-{uuid4()}"
    make = partial(google.push, sale, told, package=PACKAGE, event_id=event_id)
    scenario.plan_request(
        Google.name,
        event_id,
        lambda secrets, _at_s: make(secrets=secrets),
        outcomes=outcomes,
    )


def _submit(
    scenario: Scenario,
    sale: Sale,
    profile_id: UUID,
    *,
    outcomes: Sequence[Outcome] = GRANTED_BY_EITHER,
) -> None:
    make = partial(google.client_submission, sale, profile_id=profile_id)
    digest = sha256(google.token_of(sale).encode()).hexdigest()
    scenario.plan_request(
        Google.name,
        f"client:{profile_id}:{digest}",
        lambda secrets, at_s: make(secrets=secrets, at_s=at_s),
        outcomes=outcomes,
    )
