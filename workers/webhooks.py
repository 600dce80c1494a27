"""web: the process that receives webhooks (`python -m workers.webhooks`).

Starts what workers/receiving holds, and stops it. Has no business logic and calls no provider, but
for public keys: a webhook is verified, stored and acknowledged, and workers are told.
"""

from __future__ import annotations

import structlog

from workers.logs import configure_logging
from workers.processes import WEB
from workers.receiving.server import make_server
from workers.serving.descriptors import plan_connections
from workers.settings import load_settings
from workers.signals import start_signals
from workers.termination import Termination, end_process

log = structlog.get_logger(__name__)

# With a database and a queue that are both frozen, the process can't stop by itself. A supervisor
# kills it after 5 s.
STOP_DEADLINE_S = 4.5


def main() -> None:
    """Serve until a signal stops the process; exit 1 if the database refuses the address."""
    termination = Termination(deadline_s=STOP_DEADLINE_S)
    settings = load_settings(WEB)
    configure_logging(settings.log_format)
    start_signals(settings, WEB)
    connections_max, backlog = plan_connections()
    server = make_server(settings, connections_max=connections_max, backlog=backlog)

    def stop() -> None:
        server.should_exit = True

    termination.when_requested(stop)
    log.info(
        "web_starting",
        host=settings.coinfleet_host,
        port=settings.port,
        providers=settings.enabled,
    )
    server.run()
    log.info("web_stopped")
    end_process(int(server.is_address_refused))


if __name__ == "__main__":
    main()
