"""All checks of the command: those of table.py, and those that ask the queue and providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.cli.doctor import providers, queue
from workers.cli.doctor.examining import Check
from workers.cli.doctor.table import HERE, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.providers.provider import Provider

QUEUE: tuple[Check, ...] = (
    Check("queue", "does the queue take what is written?", queue.check_queue),
    Check("queue memory", "does the queue drop or lose messages?", queue.check_memory),
    Check("queue TLS", "is the way to the queue safe?", queue.check_tls),
)
ADDRESS = Check(
    "public address",
    "does the address that providers know lead here?",
    providers.check_public_address,
)
CONSOLE = Check(
    "console address",
    "does the address that people open lead to the console?",
    providers.check_console_address,
)


def all_checks(given: Iterable[Provider], *, web_origin: str | None) -> list[Check]:
    """Return all rows, those of these providers last."""
    of_providers = providers.provider_checks(given, web_origin=web_origin)
    return [*SETTINGS, *HERE, *QUEUE, ADDRESS, CONSOLE, *of_providers]
