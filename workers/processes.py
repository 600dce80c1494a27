"""PROCESSES: every process of the fleet, named in this module and in no other.

Says what each process runs, how it logs in to the database, what it needs, and when it starts and
stops. It starts nothing and reads no setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process. A line of the Procfile has the same name and runs the same module."""

    name: str
    module: str
    """Its entry point: `python -m <module>`."""
    login: str
    """Logs in as the role `coinfleet_<login>`; db/logins makes it, and db/policies grants to it."""
    address: str
    """The setting that holds its database address."""
    needs: tuple[str, ...] = ()
    """Settings without which it does not start, besides its address."""
    receives_webhooks: bool = False
    """Whether it needs the providers' webhook secrets, and may know them."""
    calls_providers: bool = False
    """Whether it may know the providers' API keys."""
    signs_people_in: bool = False
    """Whether it may know the secret that signs links for people."""
    stop_by_s: float
    """When `coinfleet up` kills it, in seconds after it began to stop the fleet."""
    is_long_lived: bool = True
    """Whether it runs until it is stopped; any other runs to its end before these start."""

    def __str__(self) -> str:
        """Return its name."""
        return self.name

    @property
    def role(self) -> str:
        """The database role that it logs in as."""
        return f"coinfleet_{self.login}"

    @property
    def application_name(self) -> str:
        """What `pg_stat_activity` shows of its sessions."""
        return f"coinfleet {self.name}"


# It logs in as the owner of the schema, which may have any name in a database of production.
RELEASE = Process(
    name="release",
    module="workers.release",
    login="owner",
    address="DATABASE_URL",
    stop_by_s=1.0,
    is_long_lived=False,
)
WEB = Process(
    name="web",
    module="workers.webhooks",
    login="web",
    address="WEB_DATABASE_URL",
    needs=("REDIS_URL",),
    receives_webhooks=True,
    stop_by_s=2.5,
)
WORKER = Process(
    name="worker",
    module="workers.consumer",
    login="worker",
    address="WORKER_DATABASE_URL",
    needs=("REDIS_URL",),
    calls_providers=True,
    # Its own deadline is 9 s; beside web and scheduler it has at least 4 s for its batch in hand.
    stop_by_s=7.5,
)
SCHEDULER = Process(
    name="scheduler",
    module="workers.scheduler",
    login="scheduler",
    address="SCHEDULER_DATABASE_URL",
    needs=("REDIS_URL",),
    stop_by_s=3.5,
)
CONSOLE = Process(
    name="console",
    module="workers.console",
    login="console",
    address="CONSOLE_DATABASE_URL",
    signs_people_in=True,
    # It has no work of its own, so it takes no time from web and scheduler that they would need.
    stop_by_s=3.0,
)

# In the order in which they start, which is the order of the Procfile. `coinfleet up` stops them in
# the order of `stop_by_s`: first what brings in work, then what does it.
PROCESSES: Mapping[str, Process] = {
    process.name: process for process in (RELEASE, WEB, WORKER, SCHEDULER, CONSOLE)
}
