"""The server of `console`: where it listens, and how it stops while people look on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from db.errors import describe
from workers.console.application import CONNECTIONS_MAX, STATEMENT_TIMEOUT_S, make_app
from workers.console.guard import BODY_BYTES_MAX
from workers.processes import CONSOLE
from workers.serving import server
from workers.serving.answer import Answer
from workers.serving.connection import BoundedConnection
from workers.serving.descriptors import BACKLOG_MAX
from workers.serving.protocol import count_instead_of_logging

if TYPE_CHECKING:
    from workers.console.desk import Desk
    from workers.settings import Settings

log = structlog.get_logger(__name__)

# A page that is being made may take so long before it is cut off.
DRAIN_TIMEOUT_S = 1
# A person looks at a page for longer before the next.
KEEP_ALIVE_S = 5


class ConsoleConnection(BoundedConnection):
    """A connection of a browser, or of the proxy before the console."""

    body_bytes_max = BODY_BYTES_MAX
    not_served = Answer(503, "busy", (b"retry-after", b"5"))


class Server(server.Server):
    """Ends the live streams first, because a browser would keep them open for ever."""

    process = CONSOLE
    not_started = "console_not_started"
    settings_of_address = ("CONSOLE_HOST", "CONSOLE_PORT")
    check_timeout_s = STATEMENT_TIMEOUT_S

    def begin_to_stop(self) -> None:
        """End the live streams."""
        desk: Desk = self.lifespan.state["desk"]
        desk.feed.end_streams()

    def note_unreachable(self, error: Exception) -> None:
        """Log it; each page says it until it is over."""
        log.warning("database_unreachable", reason=describe(error), then="pages say so")


def make_server(
    settings: Settings, *, connections_max: int = CONNECTIONS_MAX, backlog: int = BACKLOG_MAX
) -> Server:
    """Return the console behind its server, which listens once it is run."""
    count_instead_of_logging()
    config = server.configure(
        make_app(settings, connections_max=connections_max),
        ConsoleConnection,
        hosts=settings.console_host.split(","),
        port=settings.console_port,
        keep_alive_s=KEEP_ALIVE_S,
        drain_timeout_s=DRAIN_TIMEOUT_S,
        backlog=backlog,
    )
    return Server(config, settings)
