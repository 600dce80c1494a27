"""Plans of simulated runs for tests, without a fleet."""

from __future__ import annotations

import time
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from db.simulation import PurchaseRules
from workers.cli.simulate.delivery import Deliveries
from workers.cli.simulate.findings import Findings
from workers.cli.simulate.plan import Plan, Secrets
from workers.cli.simulate.scene import Stage
from workers.cli.simulate.stories import tell
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
    """A plan as `coinfleet simulate` makes it."""
    stage = Stage(
        run,
        random=Random(seed),
        rules=rules,
        streams=streams or {uuid4(): 1, uuid4(): 2},
        livemode=False,
        started_s=int(time.time()),
    )
    return tell(stage, events=events)


def clean_findings(plan: Plan, **changes: Any) -> Findings:
    """What is found when all went as planned, but for these changes."""
    ends = {event_id: min(event.endings, key=str) for event_id, event in plan.all_events.items()}
    applied = {event_id for event_id, end in ends.items() if end.state == "applied"}
    found: dict[str, Any] = {
        "plan": plan,
        "deliveries": Deliveries(acknowledged=set(ends), delivered=len(ends)),
        "ends": ends,
        "balances": plan.balances(applied),
        "invariants": {"balances_match_ledger": 0},
    }
    return Findings(**found | changes)
