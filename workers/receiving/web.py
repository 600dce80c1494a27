"""What the endpoints and the server of the web process use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.outage import Outage
    from workers.receiving.intake import Intake
    from workers.receiving.metrics import Metrics
    from workers.receiving.probes import Probes
    from workers.receiving.receiver import Receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What the endpoints and the server use, open for as long as the application runs."""

    database_url: str = field(repr=False)
    probes: Probes
    metrics: Metrics
    intake: Intake
    receiver: Receiver
    outage: Outage
