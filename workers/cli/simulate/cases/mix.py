"""Which cases a run has: the rare ones once, the usual ones by their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.errors import CoinfleetError
from tasks.providers.apple import Apple
from tasks.providers.google import Google
from workers.cli.simulate.cases import (
    apple_sales,
    gifts,
    google_sales,
    holds,
    purchases,
    reversals,
)
from workers.cli.simulate.prices import VAULT
from workers.cli.simulate.scenario import QUANTITY_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.simulation import PurchaseRules
    from workers.cli.simulate.plan import Plan
    from workers.cli.simulate.scenario import Case, Scenario

# A case is begun only while at least this many events are left to plan: no usual one has more.
CASE_EVENTS_MAX = 4
# With so many events there is room for each rare case among ten times as many usual ones.
RARE_FROM_EVENTS = 100

# A person must decide about most of these, so each happens once per run.
RARE: tuple[Case, ...] = (
    holds.exceed_velocity,
    holds.need_approval,
    holds.exceed_limit,
    holds.pay_wrong_amount,
    holds.buy_unknown_product,
    holds.buy_for_unknown_buyer,
    holds.pay_without_a_rate,
    holds.leave_out_product,
    gifts.give_to_oneself,
    gifts.give_unknown_type,
)
# Each with its weight: how often it happens beside the others.
USUAL: dict[Case, int] = {
    purchases.pay_with_intent: 24,
    purchases.check_out: 10,
    purchases.pay_after_checkout: 2,
    reversals.refund_in_full: 4,
    reversals.refund_in_part: 4,
    reversals.fail_to_refund: 2,
    reversals.lose_dispute: 2,
    reversals.win_dispute: 1,
    reversals.open_inquiry: 1,
    gifts.give: 60,
    gifts.buy_and_give_all: 4,
    gifts.give_and_refund: 2,
    gifts.give_without_coins: 4,
    gifts.give_to_unknown_recipient: 2,
    purchases.pay_for_another_product: 3,
    purchases.send_unknown_type: 3,
    purchases.pay_in_the_other_mode: 1,
}


# One of each, in the order in which a newcomer reads of them: two are held for a person.
TOUR: tuple[Case, ...] = (
    purchases.check_out,
    reversals.refund_in_part,
    reversals.refund_in_full,
    reversals.lose_dispute,
    reversals.win_dispute,
    holds.need_approval,
    gifts.give,
    gifts.give_without_coins,
)
# What a store adds to each of the three, where its events can be signed; in the tour each of its
# cases is there once.
STORES: dict[str, Mapping[Case, int]] = {
    Apple.name: {
        apple_sales.sell: 10,
        apple_sales.sell_to_somebody_unnamed: 2,
        apple_sales.steal: 1,
        apple_sales.refund_a_third: 3,
        apple_sales.reverse_a_refund: 2,
        apple_sales.refund_reverse_and_refund: 1,
        apple_sales.sell_in_the_sandbox: 1,
    },
    Google.name: {
        google_sales.sell: 10,
        google_sales.sell_to_somebody_unnamed: 2,
        google_sales.steal: 1,
        google_sales.refund_one_of_three: 3,
        google_sales.refund_in_full: 2,
        google_sales.sell_to_a_tester: 1,
    },
}


class GuardrailsTooTight(CoinfleetError):
    """The guardrails hold even ordinary purchases."""

    def __init__(self, rules: PurchaseRules, dearest_usd: float) -> None:
        super().__init__(
            f"a simulated purchase costs up to ${dearest_usd:,.2f}, but here the limit is"
            f" ${rules.limit_usd:,.2f} and approval starts above"
            f" ${rules.approval_threshold_usd:,.2f}"
        )


def plan_tour(scenario: Scenario) -> Plan:
    """Plan one of each case of TOUR. Raises GuardrailsTooTight."""
    _check_guardrails(scenario)
    for store in scenario.stores:
        for case in STORES[store]:
            case(scenario)
    if Apple.name in scenario.stores:
        # In no other run: until it is answered it is a person's business.
        apple_sales.be_asked_about_a_refund(scenario)
    for case in TOUR:
        case(scenario)
    holds.need_approval(scenario)
    return scenario.plan


def plan_cases(scenario: Scenario, *, events: int) -> Plan:
    """Plan cases until there are exactly so many events. Raises GuardrailsTooTight."""
    _check_guardrails(scenario)
    if events >= RARE_FROM_EVENTS:
        for case in RARE:
            case(scenario)
    usual = USUAL | {
        case: weight for store in scenario.stores for case, weight in STORES[store].items()
    }
    while (left := events - len(scenario.plan)) > 0:
        if left >= CASE_EVENTS_MAX:
            (case,) = scenario.random.choices([*usual], [*usual.values()])
            case(scenario)
        else:
            scenario.plan_purchase()
    return scenario.plan


def _check_guardrails(scenario: Scenario) -> None:
    dearest_usd = VAULT.amount_minor * QUANTITY_MAX / 100
    if min(scenario.rules.limit_usd, scenario.rules.approval_threshold_usd) < dearest_usd:
        raise GuardrailsTooTight(scenario.rules, dearest_usd)
