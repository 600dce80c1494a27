"""Settings put together, read from the environment, and compared with what a process needs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.providers import PROVIDERS
from workers.processes import RELEASE, Process
from workers.settings.app import AppSettings
from workers.settings.apple import AppleSettings
from workers.settings.console import ConsoleSettings
from workers.settings.enabling import Needs, find_enabled, find_enabling_faults
from workers.settings.fleet import FleetSettings
from workers.settings.google import GoogleSettings
from workers.settings.sign_in import SignInSettings
from workers.settings.stripe import StripeSettings
from workers.settings.values import (
    DEVELOPMENT,
    FOR_CALLS,
    FOR_CONSOLE,
    FOR_RECEIVING,
    IN_PLACE_OF,
    TO_RECEIVE,
)


class SettingsFault(SystemExit):
    """Settings are missing or malformed: the process ends and prints every fault, by name."""

    def __init__(self, faults: Iterable[str]) -> None:
        # Two processes may lack the same setting.
        self.faults = tuple(dict.fromkeys(faults))
        super().__init__(
            "\n".join(["coinfleet can't start:", *(f"  {each}" for each in self.faults)])
        )


# A further provider's settings stand before the others: the fields of the last base come first.
class Settings(
    GoogleSettings,
    AppleSettings,
    SignInSettings,
    AppSettings,
    StripeSettings,
    ConsoleSettings,
    FleetSettings,
    BaseSettings,
):
    """All settings. A provider's are named `<provider>_<what>`, see workers/providers.py."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    def url_for(self, process: Process, *, warn: bool = True) -> str:
        """Return the process's database address; without one the owner's, and log a warning.

        Raises SettingsFault if both are unset.
        """
        own: str | None = getattr(self, process.address.lower())
        if own is not None:
            return own
        if self.database_url is None:
            raise SettingsFault([f"{process.address} is missing"])
        if warn:
            structlog.get_logger().warning("owner_address_used", role=process.name)
        return self.database_url

    @property
    def enabled(self) -> list[str]:
        """The providers whose events are taken."""
        return find_enabled(
            NEEDS, self.providers_enabled, lambda name: bool(getattr(self, name.lower()))
        )


def _marked(mark: str) -> dict[str, Any]:
    """Return what the settings with this mark hold under it, by setting."""
    return {
        name.upper(): field.json_schema_extra[mark]
        for name, field in Settings.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and mark in field.json_schema_extra
    }


# By setting. Only the embedded mode uses them: the supervisor gives them to `web` and prints them.
DEVELOPMENT_SECRETS: dict[str, str] = _marked(DEVELOPMENT)
# By setting that has one: the setting in whose place it stands.
IN_PLACES: dict[str, str] = _marked(IN_PLACE_OF)
# What only a process that receives events may know, and what only one that calls providers may.
RECEIVING_SECRETS = frozenset(_marked(FOR_RECEIVING))
API_KEYS = frozenset(_marked(FOR_CALLS))
CONSOLE_SECRETS = frozenset(_marked(FOR_CONSOLE))
APP_EVENTS = ("APP_EVENTS_URL", "APP_EVENTS_SECRETS")


def _of(provider: str, settings: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in settings if name.startswith(f"{provider.upper()}_"))


NEEDS = tuple(
    Needs(
        provider.name,
        _of(provider.name, _marked(TO_RECEIVE)),
        keys=_of(provider.name, [name for name, wants in _marked(FOR_CALLS).items() if wants]),
    )
    for provider in PROVIDERS
)


def development_values(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the values for development of the settings that this environment leaves unset."""
    return {
        name: value
        for name, value in DEVELOPMENT_SECRETS.items()
        if not environment.get(name) and not environment.get(IN_PLACES.get(name, ""))
    }


def load_settings(needed_by: Process | None = None) -> Settings:
    """Read the environment.

    Raises SettingsFault with all that is malformed, and with all that the process needs and lacks.
    """
    faults: list[str] = []
    settings = None
    try:
        settings = Settings()
    except ValidationError as error:
        faults = [_fault(item["loc"], item["msg"]) for item in error.errors()]
    if needed_by is not None:
        faults += lacking(needed_by, os.environ)
    if settings is None or faults:
        raise SettingsFault(faults)
    return settings


def lacking(process: Process, environment: Mapping[str, str]) -> list[str]:
    """Return a fault for each setting that this process needs and that is unset.

    The owner's database address will do for a process without one of its own.
    """
    # One without the other would tell the app nothing.
    is_told = any(environment.get(name) for name in APP_EVENTS)
    told = APP_EVENTS if is_told and process.calls_providers else ()
    needed = (process.address, *process.needs, *told)
    has_address = bool(environment.get(process.address) or environment.get(RELEASE.address))
    faults = [
        f"{name} is missing"
        for name in needed
        if not environment.get(name)
        and not (name == process.address and has_address)
        and not (name == "REDIS_URL" and environment.get("BROKER_URL"))
    ]
    if process.receives_webhooks:
        named = environment.get("PROVIDERS_ENABLED", "").split(",")
        wanted = [name.strip() for name in named if name.strip()]
        faults += find_enabling_faults(NEEDS, wanted, lambda name: bool(environment.get(name)))
    return faults


def _fault(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    # A fault of two settings has no location; its message names them.
    if not location:
        return text
    name = str(location[0]).upper()
    return f"{name}: {text}{_surplus(os.environ.get(name, ''))}"


def _surplus(value: str) -> str:
    """Return a hint at characters around a value that are easily overlooked, if there are any."""
    value = value.strip()
    # A shell takes quotation marks away; `docker --env-file` passes them on.
    if value[:1] in {'"', "'"}:
        return " (its quotation marks are part of the value here: leave them out)"
    if not (value[:1] + value[-1:]).isprintable():
        return " (it begins or ends with a character that can't be seen: leave it out)"
    return ""
