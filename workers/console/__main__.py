"""The entry point of the process `console` (`python -m workers.console`)."""

from __future__ import annotations

import structlog

from workers.console.application import CONNECTIONS_MAX
from workers.console.server import make_server
from workers.logs import configure_logging
from workers.processes import CONSOLE
from workers.serving.descriptors import plan_connections
from workers.settings import load_settings
from workers.termination import Termination, end_process

log = structlog.get_logger(__name__)

# With a database that is frozen, the process can't stop by itself.
STOP_DEADLINE_S = 2.5


def main() -> None:
    """Serve until a signal stops the process; exit 1 if the database refuses the address."""
    termination = Termination(deadline_s=STOP_DEADLINE_S)
    settings = load_settings(CONSOLE)
    configure_logging(settings.log_format)
    connections_max, backlog = plan_connections(wanted=CONNECTIONS_MAX)
    server = make_server(settings, connections_max=connections_max, backlog=backlog)

    def stop() -> None:
        server.should_exit = True

    termination.when_requested(stop)
    log.info("console_starting", url=settings.console_url)
    server.run()
    log.info("console_stopped")
    end_process(int(server.is_address_refused))


if __name__ == "__main__":
    main()
