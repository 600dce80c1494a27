"""The fleet as a whole: it starts in order, restarts what died, and stops in order.

One thread and one loop: the kernel kills a child when the thread that started it ends. Every wait
has a bound, and a signal ends it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

from workers.embedded import (
    DataFolder,
    EmbeddedPostgres,
    EmbeddedServer,
    EmbeddedValkey,
    RunningFleet,
)
from workers.processes import PROCESSES, RELEASE
from workers.settings import Settings, SettingsFault, lacking
from workers.sign_in_links import make_links
from workers.supervisor.environment import development_secrets, environment_of, fleet_environment
from workers.supervisor.member import Member, describe_end, describe_giving_up
from workers.supervisor.mocks import Mocks
from workers.supervisor.output import Output
from workers.supervisor.process import FleetProcess
from workers.supervisor.procfile import read_procfile
from workers.supervisor.readiness import Readiness
from workers.supervisor.restarts import Restarts
from workers.supervisor.signals import Signals
from workers.supervisor.stopping import stop_in_order

# The longest pause between two checks for deaths and readiness; a death ends the pause at once.
CHECK_EVERY_S = 0.1
# How often a fleet that isn't ready says what it waits for.
NOT_READY_EVERY_S = 10.0


class FleetFailed(Exception):
    """The fleet can't start or go on; the message is one line for a person."""


class Ports:
    """The ports that the fleet will listen on, held until each of them is known to be free."""

    def __init__(self) -> None:
        self._held: dict[int, str] = {}
        self._sockets = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sockets.close()

    def hold(self, setting: str, port: int, host_setting: str, hosts: str) -> None:
        """Raise FleetFailed if nobody could listen on this port of these addresses."""
        try:
            for family, address in {self._address(host, port) for host in hosts.split(",")}:
                self._sockets.enter_context(socket.create_server(address, family=family))
        except socket.gaierror as error:
            raise FleetFailed(
                f"{host_setting} is no address of this machine ({error.strerror})"
            ) from error
        except OSError as error:
            if port in self._held:
                raise FleetFailed(f"{setting}: must be another than {self._held[port]}") from error
            raise FleetFailed(
                f"can't listen on port {port} ({os.strerror(error.errno or 0)}): "
                f"stop what listens there, or set {setting} to another"
            ) from error
        self._held[port] = setting

    def _address(self, host: str, port: int) -> tuple[int, tuple[str, int]]:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return family, (str(address[0]), port)


@dataclass(slots=True)
class Supervised:
    """A member that is started again when it dies."""

    member: Member
    restarts: Restarts = field(default_factory=Restarts)
    restart_at: float | None = None


class Fleet:
    """The embedded servers that are needed, and the processes of the Procfile."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], *, mock_providers: bool = False
    ) -> None:
        """Raise SettingsFault if a process would lack a setting."""
        self._settings = settings
        self._folder = DataFolder(settings.coinfleet_data_dir)
        self._mocks = Mocks(self._folder.path, environment) if mock_providers else None
        self._environment = {**environment, **(self._mocks.settings if self._mocks else {})}
        folder = self._folder.path
        self._postgres = None if settings.database_url else EmbeddedPostgres(folder)
        self._valkey = None if settings.queue_url else EmbeddedValkey(folder)
        self._commands = read_procfile()
        self._output = Output(width=max(map(len, ["coinfleet", *self._commands])))
        self._release: FleetProcess | None = None
        self._supervised: list[Supervised] = []
        self._check_settings()

    def run(self, signals: Signals) -> None:
        """Run until a signal asks to stop.

        Raises FleetFailed, EmbeddedServerError and StartInterrupted. However it ends, no server or
        process of the fleet is left running.
        """
        self._folder.lock()
        self._check_ports()
        # Before the data folder says where the fleet is: a command may print the links at once.
        links = self._folder.renew_link_secret() if self._postgres is not None else None
        try:
            self._start_servers(signals)
            fleet = fleet_environment(
                self._environment,
                postgres=self._postgres,
                valkey=self._valkey,
                link_secret=links,
                columns=self._output.columns,
                is_terminal=self._output.is_terminal,
            )
            if self._mocks is not None:
                self._start(self._mocks.make_process(fleet, self._url, self._output))
            self._release_schema(signals, fleet)
            readiness = Readiness(
                host=self._settings.hosts[0],
                port=self._settings.port,
                database_url=fleet[RELEASE.address],
            )
            self._start_processes(fleet)
            self._supervise(signals, readiness, links)
        finally:
            self._stop()

    @property
    def _url(self) -> str:
        """The address of `web`."""
        host = self._settings.hosts[0]
        return f"http://{f'[{host}]' if ':' in host else host}:{self._settings.port}"

    def _check_settings(self) -> None:
        known = {**self._environment, **development_secrets(self._environment)}
        if self._postgres is not None:
            known["DATABASE_URL"] = "embedded"
        if self._valkey is not None:
            known["REDIS_URL"] = "embedded"
        missing = [fault for process in PROCESSES.values() for fault in lacking(process, known)]
        if missing:
            raise SettingsFault(missing)

    def _check_ports(self) -> None:
        """Raise FleetFailed if `web` or `console` could not listen where they are told to."""
        settings = self._settings
        web = ("COINFLEET_HOST", settings.coinfleet_host)
        with Ports() as ports:
            ports.hold("PORT", settings.port, *web)
            if settings.metrics_port:
                ports.hold("METRICS_PORT", settings.metrics_port, *web)
            ports.hold("CONSOLE_PORT", settings.console_port, "CONSOLE_HOST", settings.console_host)

    def _start_servers(self, signals: Signals) -> None:
        for server in self._servers():
            self._supervised.append(Supervised(server))
            server.start(signals.pause)
            self._output.say(
                f"{server.name} listens on port {server.port}, data in {server.data_dir}"
            )
        for name, secret in development_secrets(self._environment).items():
            self._output.say(f"{name} is unset, for development it is {secret}")
        self._folder.write_fleet(
            RunningFleet(
                pid=os.getpid(),
                port=self._settings.port,
                postgres_port=self._postgres.port if self._postgres else None,
                valkey_port=self._valkey.port if self._valkey else None,
                console_url=self._settings.console_url,
                mock_ports=self._mocks.ports if self._mocks else {},
                mock_settings=self._mocks.settings if self._mocks else {},
            )
        )

    def _servers(self) -> Iterator[EmbeddedServer]:
        if self._postgres is not None:
            yield self._postgres
        if self._valkey is not None:
            yield self._valkey

    def _release_schema(self, signals: Signals, fleet: Mapping[str, str]) -> None:
        self._release = self._process(RELEASE.name, fleet)
        self._release.spawn()
        while self._release.running:
            signals.pause(CHECK_EVERY_S)
        self._release.clean_up()
        if (end := describe_end(self._release)) != "exit code 0":
            raise FleetFailed(f"{RELEASE.name} failed ({end}), see above")

    def _start_processes(self, fleet: Mapping[str, str]) -> None:
        for name in self._commands:
            if name != RELEASE.name:
                self._start(self._process(name, fleet))

    def _start(self, process: FleetProcess) -> None:
        self._supervised.append(Supervised(process))
        process.spawn()

    def _process(self, name: str, fleet: Mapping[str, str]) -> FleetProcess:
        return FleetProcess(name, self._commands[name], environment_of(name, fleet), self._output)

    def _supervise(self, signals: Signals, readiness: Readiness, links: str | None) -> None:
        is_ready = False
        explain_at = time.monotonic() + NOT_READY_EVERY_S
        while not signals.wait(CHECK_EVERY_S):
            now = time.monotonic()
            for supervised in self._supervised:
                self._restart_if_dead(supervised, now)
            if is_ready:
                continue
            if is_ready := readiness.check():
                self._announce(links)
            elif now > explain_at:
                self._output.say(f"not ready yet: waiting for {readiness.lacking}")
                explain_at = now + NOT_READY_EVERY_S

    def _announce(self, links: str | None) -> None:
        """Say that the fleet is ready, and how to sign in to its console."""
        if links is not None:
            for role, link in make_links(self._settings.console_url, links).items():
                self._output.say(f"console as {role}: {link}")
        self._output.announce(f"coinfleet is ready: {self._url}")

    def _restart_if_dead(self, supervised: Supervised, now: float) -> None:
        member = supervised.member
        if member.running:
            return
        if supervised.restart_at is None:
            member.stop(0)
            delay_s = supervised.restarts.after_death(now)
            if delay_s is None:
                raise FleetFailed(describe_giving_up(member))
            end = describe_end(member)
            self._output.say(f"{member.name} died ({end}), starting it again in {delay_s} s")
            supervised.restart_at = now + delay_s
        elif now >= supervised.restart_at:
            supervised.restart_at = None
            member.spawn()

    def _stop(self) -> None:
        self._output.say("stopping")
        members = [supervised.member for supervised in self._supervised]
        if self._release is not None:
            members.append(self._release)
        stop_in_order(members, self._output)
        self._folder.remove_fleet()
        self._output.say("stopped")
