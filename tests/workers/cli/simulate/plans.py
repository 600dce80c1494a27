"""Plans of simulated runs for tests, without a fleet."""

from __future__ import annotations

import time
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from db.simulation import PurchaseRules
from workers.cli.simulate.cases.mix import plan_cases
from workers.cli.simulate.delivery import Deliveries
from workers.cli.simulate.findings import Findings
from workers.cli.simulate.plan import Plan, Secrets
from workers.cli.simulate.scenario import Scenario
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

RULES = PurchaseRules(Decimal(50_000), Decimal(25_000), 5)
SECRETS = Secrets(
    DEVELOPMENT_SECRETS["STRIPE_WEBHOOK_SECRETS"], DEVELOPMENT_SECRETS["APP_WEBHOOK_SECRETS"]
)


def make_plan(
    events: int,
    *,
    run: str = "simtest",
    seed: int = 1,
    rules: PurchaseRules = RULES,
    streams: Mapping[UUID, int] | None = None,
) -> Plan:
    """Return a plan as `coinfleet simulate` makes it."""
    scenario = Scenario(
        run,
        random=Random(seed),
        rules=rules,
        streams=streams or {uuid4(): 1, uuid4(): 2},
        livemode=False,
        started_s=int(time.time()),
    )
    return plan_cases(scenario, events=events)


def clean_findings(plan: Plan, **changes: Any) -> Findings:
    """Return what is found if all goes as planned, except for these changes."""
    outcomes = {key: min(event.outcomes, key=str) for key, event in plan.all_events.items()}
    applied = {key for key, outcome in outcomes.items() if outcome.state == "applied"}
    found: dict[str, Any] = {
        "plan": plan,
        "deliveries": Deliveries(acknowledged=set(outcomes), delivered=len(outcomes)),
        "outcomes": outcomes,
        "balances": plan.balances(applied),
        "invariants": {"balances_match_ledger": 0},
    }
    return Findings(**found | changes)
