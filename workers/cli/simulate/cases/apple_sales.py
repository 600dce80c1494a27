"""Sales in Apple's App Store: told by Apple, submitted by clients, and taken back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from tasks.providers.apple import Apple
from workers.cli.simulate.cases.purchases import GRANTED_BY_EITHER
from workers.cli.simulate.plan import APPLIED, Outcome
from workers.cli.simulate.stores import apple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any
    from uuid import UUID

    from workers.cli.simulate.sale import Sale
    from workers.cli.simulate.scenario import Scenario

THREE = 3
# A third, as Apple rounds it.
A_THIRD = 33_333
DAY_S = 86_400


def sell(scenario: Scenario) -> None:
    """Sell; Apple and the buyer's client both tell of it, and either grants it."""
    sale = scenario.make_sale()
    _tell(scenario, sale, "ONE_TIME_CHARGE", outcomes=GRANTED_BY_EITHER)
    _submit(scenario, sale, sale.buyer, outcomes=GRANTED_BY_EITHER)
    scenario.expect_sale(sale)


def sell_to_somebody_unnamed(scenario: Scenario) -> None:
    """Sell without a name of the buyer: it belongs to whoever submits it."""
    sale = scenario.make_sale(is_named=False)
    _tell(
        scenario,
        sale,
        "ONE_TIME_CHARGE",
        outcomes=(*GRANTED_BY_EITHER, Outcome("waiting", "no_buyer_yet")),
    )
    _submit(scenario, sale, sale.buyer, outcomes=GRANTED_BY_EITHER)
    scenario.expect_sale(sale)


def steal(scenario: Scenario) -> None:
    """Submit what was sold to somebody else."""
    sale = scenario.make_sale()
    _tell(scenario, sale, "ONE_TIME_CHARGE")
    thief = scenario.add_person("thief")
    _submit(scenario, sale, thief, outcomes=(Outcome("rejected", "not_the_buyer"),))
    scenario.expect_sale(sale)


def refund_a_third(scenario: Scenario) -> None:
    """Sell three and refund one: Apple says 33.333 percent, and means a third."""
    sale = scenario.make_sale(quantity=THREE)
    _tell(scenario, sale, "ONE_TIME_CHARGE")
    _tell(scenario, sale, "REFUND", after_s=DAY_S, reversed_milli_percent=A_THIRD)
    scenario.expect_sale(sale, reversed_quantity=1)


def refund_reverse_and_refund(scenario: Scenario) -> None:
    """Refund, take the refund back, and refund again: the newest that Apple signed counts."""
    sale = scenario.make_sale()
    _tell(scenario, sale, "ONE_TIME_CHARGE")
    _tell(scenario, sale, "REFUND", after_s=DAY_S, reversed_milli_percent=apple.WHOLE)
    _tell(scenario, sale, "REFUND_REVERSED", after_s=2 * DAY_S)
    _tell(scenario, sale, "REFUND", after_s=3 * DAY_S, reversed_milli_percent=apple.WHOLE)
    scenario.expect_sale(sale, reversed_quantity=sale.quantity)


def reverse_a_refund(scenario: Scenario) -> None:
    """Refund, and take the refund back: the coins stay."""
    sale = scenario.make_sale()
    _tell(scenario, sale, "ONE_TIME_CHARGE")
    _tell(scenario, sale, "REFUND", after_s=DAY_S, reversed_milli_percent=apple.WHOLE)
    _tell(scenario, sale, "REFUND_REVERSED", after_s=2 * DAY_S)
    scenario.expect_sale(sale)


def sell_in_the_sandbox(scenario: Scenario) -> None:
    """Sell for nothing, as to a tester."""
    sale = scenario.make_sale()
    outcomes = (Outcome("ignored", "sandbox"),)
    _tell(scenario, sale, "ONE_TIME_CHARGE", outcomes=outcomes, environment="Sandbox")


def be_asked_about_a_refund(scenario: Scenario) -> None:
    """Sell; the buyer asks Apple for the money, and Apple asks us: the coins stay until it pays."""
    sale = scenario.make_sale()
    _tell(scenario, sale, "ONE_TIME_CHARGE")
    _tell(
        scenario,
        sale,
        "CONSUMPTION_REQUEST",
        after_s=1,
        consumption_reason="UNSATISFIED_WITH_PURCHASE",
    )
    scenario.expect_sale(sale)


def _tell(
    scenario: Scenario,
    sale: Sale,
    kind: str,
    *,
    outcomes: Sequence[Outcome] = (APPLIED,),
    **told: Any,
) -> None:
    event_id = f"{scenario.plan.run}-apple-{uuid4()}"
    make = partial(apple.notification, sale, kind, event_id=event_id, **told)
    scenario.plan.apple_notifications.append(lambda: make().body)
    scenario.plan_request(Apple.name, event_id, _ignoring_secrets(make), outcomes=outcomes)


def _ignoring_secrets(make: Any) -> Any:
    # Apple signs by its chain: neither a secret of ours nor the time counts.
    return lambda _secrets, _at_s: make()


def _submit(
    scenario: Scenario, sale: Sale, profile_id: UUID, *, outcomes: Sequence[Outcome]
) -> None:
    make = partial(apple.client_submission, sale, profile_id=profile_id)
    scenario.plan_request(
        Apple.name,
        f"client:{profile_id}:{sale.key}",
        lambda secrets, at_s: make(secrets=secrets, at_s=at_s),
        outcomes=outcomes,
    )
