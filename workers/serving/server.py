"""uvicorn for a process of ours: says why it can't listen, and checks its database address.

Refuses no connection and reads no request itself: connection.py does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import structlog
import uvicorn

from db.connections.roles import check_login
from db.errors import DatabaseRefused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import socket

    from workers.processes import Process
    from workers.serving.connection import BoundedConnection
    from workers.settings import Settings

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """Serves one process, and stops it if the database refuses its address for good.

    A process names itself in a subclass: `not_started` is what it logs if it can't begin, and
    `settings_of_address` which settings name the addresses and the port.
    """

    process: ClassVar[Process]
    not_started: ClassVar[str]
    settings_of_address: ClassVar[tuple[str, str]]
    check_timeout_s: ClassVar[float]

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings
        self._address_check: asyncio.Task[None] | None = None
        self.is_address_refused = False
        """Whether the process stops because the database refused its address."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to listen; check the database's address meanwhile."""
        try:
            await super().startup(sockets)
        except SystemExit as end:
            # uvicorn has logged the cause, but not which address and setting it concerns.
            if isinstance(end.__context__, OSError):
                log.error(self.not_started, reason=self._not_listening)  # noqa: TRY400 - see above
            raise
        if self.started:
            self._address_check = asyncio.create_task(self._check_address())

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Take no more connections, and stop once the requests that are here are answered."""
        self.begin_to_stop()
        if self._address_check:
            self._address_check.cancel()
        await super().shutdown(sockets)

    def begin_to_stop(self) -> None:
        """End what would keep requests open."""
        raise NotImplementedError

    def note_unreachable(self, error: Exception) -> None:
        """Say that the database can't be reached, which passes by waiting."""
        raise NotImplementedError

    @property
    def _not_listening(self) -> str:
        hosts, port = ", ".join(self.config.host), self.config.port
        addresses, port_setting = self.settings_of_address
        return (
            f"can't listen on {hosts}, port {port}: {addresses} must name addresses of this"
            f" machine, with commas between them, and no other process may listen at {port_setting}"
        )

    async def _check_address(self) -> None:
        """Stop the process if the database refuses the address for good."""
        url = self._settings.url_for(self.process, warn=False)
        try:
            await check_login(self.process, url=url, within_s=self.check_timeout_s)
        except DatabaseRefused as error:
            log.error(self.not_started, reason=str(error))  # noqa: TRY400 - the line says it all
            self.is_address_refused = self.should_exit = True
        # What passes by waiting.
        except Exception as error:  # noqa: BLE001
            self.note_unreachable(error)


def configure(
    application: Any,
    connection: type[BoundedConnection],
    *,
    hosts: Sequence[str],
    port: int,
    keep_alive_s: int,
    drain_timeout_s: int,
    backlog: int,
) -> uvicorn.Config:
    """Return how uvicorn serves an application: it logs no request, and trusts no header."""
    return uvicorn.Config(
        application,
        # uvicorn hands several on to the loop as they are.
        host=list(hosts),  # type: ignore[arg-type]
        port=port,
        loop="uvloop",
        http=connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=drain_timeout_s,
        backlog=backlog,
    )
