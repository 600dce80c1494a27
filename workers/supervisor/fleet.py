"""The fleet as a whole: what starts before what, what is restarted, what ends in which order.

One thread and one loop, for the kernel ties each child to the thread that started it. Every wait
has a bound and ends when a signal comes.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

from workers.embedded import (
    DataFolder,
    EmbeddedPostgres,
    EmbeddedServer,
    EmbeddedValkey,
    RunningFleet,
)
from workers.processes import PROCESSES, RELEASE
from workers.settings import Settings, SettingsFault, lacking
from workers.supervisor.environment import development_secrets, environment_of, fleet_environment
from workers.supervisor.output import Output
from workers.supervisor.process import FleetProcess
from workers.supervisor.procfile import read_procfile
from workers.supervisor.readiness import Readiness
from workers.supervisor.restarts import DEATHS, WITHIN_S, Restarts
from workers.supervisor.signals import Signals

# Who ends before whom, and by when after the first: what one leaves of its time the next has. Then
# it is killed, so that ten seconds do even if all hang.
STOP_BY_S: Mapping[str, float] = {
    **{name: process.stop_by_s for name, process in PROCESSES.items()},
    EmbeddedValkey.name: 8.0,
    EmbeddedPostgres.name: 9.0,
}
# A process that the Procfile has beside these ends before them.
OTHERS_STOP_BY_S = 1.0
LEAST_STOP_S = 0.2
# How often deaths are looked for (a child's death ends the wait) and readiness is asked for.
TICK_S = 0.1
# How often somebody who waits for a fleet that isn't ready hears why.
PATIENCE_S = 10.0


class FleetFailed(Exception):
    """The fleet can't start or go on; the message is one line for a person."""


class Member(Protocol):
    """A process or a server."""

    name: str
    process: subprocess.Popen[bytes] | None

    @property
    def running(self) -> bool:
        """Whether it is alive."""

    def spawn(self) -> None:
        """Start it without waiting until it serves."""

    def stop(self, timeout_s: float) -> None:
        """End it within about this time."""


@dataclass(slots=True)
class Kept:
    """A member that is started again when it dies."""

    member: Member
    restarts: Restarts = field(default_factory=Restarts)
    restart_at: float | None = None


class Fleet:
    """The embedded servers that are needed and the Procfile's processes."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        """Raise SettingsFault when a process would lack a setting."""
        self._settings = settings
        self._environment = environment
        self._folder = DataFolder(settings.coinfleet_data_dir)
        folder = self._folder.path
        self._postgres = None if settings.database_url else EmbeddedPostgres(folder)
        self._valkey = None if settings.redis_url else EmbeddedValkey(folder)
        self._commands = read_procfile()
        self._output = Output(width=max(map(len, ["coinfleet", *self._commands])))
        self._release: FleetProcess | None = None
        self._kept: list[Kept] = []
        self._demand_settings()

    def run(self, signals: Signals) -> None:
        """Run until a signal to stop; raise FleetFailed, EmbeddedServerError, StartInterrupted.

        However it ends, nothing of the fleet is left running.
        """
        self._folder.claim()
        self._demand_port("PORT", self._settings.port)
        if self._settings.metrics_port:
            self._demand_port("METRICS_PORT", self._settings.metrics_port)
        try:
            self._start_servers(signals)
            fleet = fleet_environment(
                self._environment,
                postgres=self._postgres,
                valkey=self._valkey,
                columns=self._output.columns,
                is_terminal=self._output.is_terminal,
            )
            self._release_schema(signals, fleet)
            readiness = Readiness(
                host=self._settings.hosts[0],
                port=self._settings.port,
                database_url=fleet["DATABASE_URL"],
            )
            self._start_processes(fleet)
            self._keep_up(signals, readiness)
        finally:
            self._stop()

    def _demand_settings(self) -> None:
        known = {**self._environment, **development_secrets(self._environment)}
        if self._postgres is not None:
            known["DATABASE_URL"] = "embedded"
        if self._valkey is not None:
            known["REDIS_URL"] = "embedded"
        missing = [
            f"{name} is missing"
            for process in PROCESSES.values()
            for name in lacking(process, known)
        ]
        if missing:
            raise SettingsFault(missing)

    def _demand_port(self, setting: str, port: int) -> None:
        try:
            for host in self._settings.hosts:
                family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
                socket.create_server((host, port), family=family).close()
        except socket.gaierror as error:
            raise FleetFailed(
                f"COINFLEET_HOST is no address of this machine ({error.strerror})"
            ) from error
        except OSError as error:
            raise FleetFailed(
                f"can't listen on port {port} ({os.strerror(error.errno or 0)}): "
                f"stop what listens there, or set {setting} to another"
            ) from error

    def _start_servers(self, signals: Signals) -> None:
        for server in self._servers():
            self._kept.append(Kept(server))
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
            signals.pause(TICK_S)
        self._release.clean_up()
        if _how_it_ended(self._release) != "exit code 0":
            raise FleetFailed(f"release failed ({_how_it_ended(self._release)}), see above")

    def _start_processes(self, fleet: Mapping[str, str]) -> None:
        for name in self._commands:
            if name != RELEASE.name:
                process = self._process(name, fleet)
                self._kept.append(Kept(process))
                process.spawn()

    def _process(self, name: str, fleet: Mapping[str, str]) -> FleetProcess:
        return FleetProcess(name, self._commands[name], environment_of(name, fleet), self._output)

    def _keep_up(self, signals: Signals, readiness: Readiness) -> None:
        is_ready = False
        complain_at = time.monotonic() + PATIENCE_S
        while not signals.wait(TICK_S):
            now = time.monotonic()
            for kept in self._kept:
                self._revive(kept, now)
            if is_ready:
                continue
            if is_ready := readiness.check():
                host = self._settings.hosts[0]
                url = f"http://{f'[{host}]' if ':' in host else host}:{self._settings.port}"
                self._output.announce(f"coinfleet is ready: {url}")
            elif now > complain_at:
                self._output.say(f"not ready yet: waiting for {readiness.lacking}")
                complain_at = now + PATIENCE_S

    def _revive(self, kept: Kept, now: float) -> None:
        member = kept.member
        if member.running:
            return
        if kept.restart_at is None:
            member.stop(0)
            end = _how_it_ended(member)
            delay = kept.restarts.after_death(now)
            if delay is None:
                raise FleetFailed(
                    f"{member.name} died {DEATHS} times within {WITHIN_S:.0f} s, "
                    f"the last time with {end}: giving up"
                )
            self._output.say(f"{member.name} died ({end}), starting it again in {delay} s")
            kept.restart_at = now + delay
        elif now >= kept.restart_at:
            kept.restart_at = None
            member.spawn()

    def _stop(self) -> None:
        self._output.say("stopping")
        members: list[Member] = [kept.member for kept in self._kept]
        if self._release is not None:
            members.append(self._release)
        members.sort(key=lambda each: STOP_BY_S.get(each.name, OTHERS_STOP_BY_S))
        began_at = time.monotonic()
        for member in members:
            if member.running:
                by = began_at + STOP_BY_S.get(member.name, OTHERS_STOP_BY_S)
                member.stop(max(by - time.monotonic(), LEAST_STOP_S))
                self._output.say(f"{member.name} ended ({_how_it_ended(member)})")
        self._folder.remove_fleet()
        self._output.say("stopped")


def _how_it_ended(member: Member) -> str:
    process = cast("subprocess.Popen[bytes]", member.process)
    if process.returncode < 0:
        return signal.Signals(-process.returncode).name
    return f"exit code {process.returncode}"
