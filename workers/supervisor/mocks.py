"""The mock providers of a fleet in development: their ports, their settings and their process.

Never beside a real database: whoever knows the mocks' keys can make payments up.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from workers.processes import PROCESSES
from workers.settings import API_KEYS, SettingsFault
from workers.supervisor.output import Output
from workers.supervisor.process import FleetProcess

NAME = "mocks"
_MODULE = "workers.mock_providers"


class Mocks:
    """The servers that stand in for the providers of one fleet."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Choose ports. Raises SettingsFault if the environment names a provider or a database."""
        # Here, because only a fleet with mocks has a use for their servers.
        from workers.mock_providers.table import MOCKS, settings_for  # noqa: PLC0415

        self._folder = folder / "mock_providers"
        self.ports = dict(zip([mock.name for mock in MOCKS], _free_ports(len(MOCKS)), strict=True))
        if environment.get("DATABASE_URL"):
            raise SettingsFault(["DATABASE_URL is set: mock providers are for the embedded one"])
        self.settings = settings_for(self.ports, self._folder)
        if set_too := [name for name in self.settings if environment.get(name)]:
            raise SettingsFault(
                f"{name} is set: leave it unset with mock providers" for name in set_too
            )

    def make_process(self, fleet: Mapping[str, str], web: str, output: Output) -> FleetProcess:
        """Return the process; `fleet` is the fleet's environment, `web` the address of `web`."""
        hidden = {process.address for process in PROCESSES.values()} | API_KEYS
        known = {name: value for name, value in fleet.items() if name not in hidden}
        ports = [f"{name}={port}" for name, port in self.ports.items()]
        command = [sys.executable, "-m", _MODULE, web, str(self._folder), *ports]
        return FleetProcess(NAME, command, known, output)


def _free_ports(number: int) -> list[int]:
    """Return ports on which nobody listens now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
