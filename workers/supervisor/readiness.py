"""Whether the fleet works: `web` says that it is ready, a worker answered, the scheduler fired."""

from __future__ import annotations

import asyncio
import http.client
from datetime import datetime

from db.errors import DatabaseUnavailable
from db.health.readiness import read_clock, signs_of_life
from workers.processes import SCHEDULER, WEB, WORKER

HTTP_TIMEOUT_S = 1.0


class Readiness:
    """Asked repeatedly until the fleet is ready. Only what happens after the first time counts."""

    def __init__(self, *, host: str, port: int, database_url: str) -> None:
        self._host = host
        self._port = port
        self._database_url = database_url
        self._since: datetime | None = None
        self.lacking = WEB.name

    def check(self) -> bool:
        """Return whether the fleet is ready; if not, `lacking` names the first part that isn't."""
        self.lacking = self._look()
        return not self.lacking

    def _look(self) -> str:
        try:
            # First the clock, because earlier signs don't count.
            self._since = self._since or asyncio.run(read_clock(self._database_url))
            if not self._web_is_ready():
                return WEB.name
            signs = asyncio.run(signs_of_life(self._database_url, since=self._since))
        except DatabaseUnavailable:
            return "the database"
        if not signs.scheduler_fired:
            return SCHEDULER.name
        return "" if signs.worker_answered else WORKER.name

    def _web_is_ready(self) -> bool:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=HTTP_TIMEOUT_S)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
