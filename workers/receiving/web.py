"""What the endpoints and the server of the web process use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Pool
    from workers.outage import Outage
    from workers.receiving.intake import Intake
    from workers.receiving.metrics import Metrics
    from workers.receiving.probes import Probes
    from workers.receiving.purchases import Submissions
    from workers.receiving.receiver import Receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What the endpoints and the server use, open for as long as the application runs."""

    state_pool: Pool
    """For senders who ask what became of an event."""
    probes: Probes
    metrics: Metrics
    intake: Intake
    receiver: Receiver
    submissions: Submissions | None
    """None if nothing proves who a client is: then no purchase is taken from one."""
    outage: Outage
