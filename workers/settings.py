"""The settings: everything the environment may say, read once at the start of a process.

What is missing or malformed stops the process with all faults in one message, by name. A message
never holds a value: it might be a secret.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import structlog
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from db.connections.address import Address, AddressFault
from workers.processes import RELEASE, Process
from workers.queue.address import check_redis_address

# For the embedded mode alone: the supervisor hands them to `web` and prints them.
DEVELOPMENT_SECRETS: dict[str, str] = {
    "STRIPE_WEBHOOK_SECRETS": "whsec_coinfleet_development_only",
    "APP_WEBHOOK_SECRETS": "whsec_"
    + base64.b64encode(b"coinfleet, for development only!").decode(),
}


class SettingsFault(SystemExit):
    """Settings are missing or malformed; ends the process with every fault, by name."""

    def __init__(self, faults: Iterable[str]) -> None:
        # Two processes may lack the same setting.
        self.faults = tuple(dict.fromkeys(faults))
        super().__init__(
            "\n".join(["coinfleet can't start:", *(f"  {each}" for each in self.faults)])
        )


def _split(value: object) -> object:
    """Read a list as an operator writes it: by commas, with or without blanks.

    One comma may end it. Any other empty item is a value that got lost.
    """
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",")]
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    if not all(parts):
        raise ValueError("has an empty item; write one comma between two items")
    return tuple(parts)


def _postgres_address(value: str) -> str:
    try:
        Address.parse(value)
    # From None, as below: nothing of the value may be quoted.
    except AddressFault as fault:
        raise ValueError(str(fault)) from None
    return value


def _addresses_to_listen_on(value: str) -> str:
    hosts = [host.strip().removeprefix("[").removesuffix("]") for host in value.split(",")]
    if not all(hosts):
        raise ValueError("names no address; write one, or several with commas: 0.0.0.0,::")
    return ",".join(hosts)


def _standard_webhooks_secret(value: str) -> str:
    try:
        key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    # The standard asks for 24 to 64 bytes.
    if not value.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError(
            "each must be whsec_ and the base64 of 24 to 64 bytes; write a comma between two"
        )
    return value


def _stripe_secret(value: str) -> str:
    if not _STRIPE_SECRET.fullmatch(value) or value.count("whsec_") > 1:
        raise ValueError(
            "each must be whsec_ and at least 10 letters and digits, as Stripe shows it;"
            " write a comma between two"
        )
    return value


# Stripe's own keys have 32 characters and more. A shorter one than this is a placeholder or a part
# of one; whatever else stands in a value was to separate two, and would never match.
_STRIPE_SECRET = re.compile(r"whsec_[A-Za-z0-9_+/=-]{10,250}")


def _stripe_account(value: str) -> str:
    if not re.fullmatch(r"(acct|org)_[A-Za-z0-9_]{1,200}", value):
        raise ValueError("each must be an account's id, as acct_1AbcDef; write a comma between two")
    return value


def _worker_name(value: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{1,100}", value):
        raise ValueError("must be at most 100 characters of ASCII, without blanks")
    return value


WorkerName: TypeAlias = Annotated[str, AfterValidator(_worker_name)]
PostgresAddress: TypeAlias = Annotated[str, AfterValidator(_postgres_address)]
RedisAddress: TypeAlias = Annotated[str, AfterValidator(check_redis_address)]
StripeSecret: TypeAlias = Annotated[str, AfterValidator(_stripe_secret)]
StripeAccount: TypeAlias = Annotated[str, AfterValidator(_stripe_account)]
AppSecret: TypeAlias = Annotated[str, AfterValidator(_standard_webhooks_secret)]
CommaSeparated = (NoDecode, BeforeValidator(_split))
SecretField = Field(default=(), repr=False)


class Settings(BaseSettings):
    """One field for each setting, named as in the environment but in lower case."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    coinfleet_host: Annotated[str, AfterValidator(_addresses_to_listen_on)] = "127.0.0.1"
    """Address that `web` listens on; 0.0.0.0 in a container, `0.0.0.0,::` for IPv6 too."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port that `web` listens on."""
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Port at which `web` answers /metrics, and nothing else; without it `PORT` does."""
    coinfleet_data_dir: Path = Path(".coinfleet")
    """Where the embedded servers keep their data, and `fleet.json` tells where they are."""

    database_url: PostgresAddress | None = Field(default=None, repr=False)
    """The schema owner's address, for release and operators."""
    web_database_url: PostgresAddress | None = Field(default=None, repr=False)
    """The address of the login role coinfleet_web."""
    worker_database_url: PostgresAddress | None = Field(default=None, repr=False)
    """The address of the login role coinfleet_worker."""
    scheduler_database_url: PostgresAddress | None = Field(default=None, repr=False)
    """The address of the login role coinfleet_scheduler."""
    redis_url: RedisAddress | None = Field(default=None, repr=False)
    """The queue's address."""

    stripe_webhook_secrets: Annotated[tuple[StripeSecret, ...], *CommaSeparated] = SecretField
    """As Stripe shows them, comma-separated; several while one is being replaced."""
    app_webhook_secrets: Annotated[tuple[AppSecret, ...], *CommaSeparated] = SecretField
    """`whsec_<base64>`, comma-separated; several while one is being replaced."""
    stripe_livemode: bool = False
    """Whether Stripe's live events count; test events are refused then, and the other way."""
    stripe_accounts: Annotated[tuple[StripeAccount, ...], *CommaSeparated] = ()
    """Ids of Stripe accounts whose events count though they name an account."""

    purchase_limit_usd: Decimal = Field(
        default=Decimal("50000.00"), gt=0, decimal_places=2, max_digits=12
    )
    """US dollars; a purchase of exactly this much is within the limit."""
    approval_threshold_usd: Decimal = Field(
        default=Decimal("25000.00"), gt=0, decimal_places=2, max_digits=12
    )
    """US dollars; a purchase above this waits for a person."""
    purchases_per_minute: int = Field(default=5, ge=1, le=1_000_000)
    """Purchases one buyer may make within any 60 s."""
    max_active_streams_per_viewer: int = Field(default=4, ge=1, le=1_000_000)
    """Streams on which one viewer counts at the same time."""

    status_held_after_minutes: int = Field(default=30, ge=0, le=1_000_000)
    """Minutes that money may be held before `coinfleet status` calls a person."""

    worker_threads: int = Field(default=8, ge=1, le=64)
    """Threads of a worker process; each runs one actor at a time."""
    worker_name: WorkerName | None = None
    """What a worker is called in metrics, before its number; the machine's name if unset."""
    batch_size: int = Field(default=500, ge=1, le=5000)
    """Events that a worker claims at once, at most."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto` is colours on a terminal and JSON elsewhere."""

    @model_validator(mode="after")
    def _ports_differ(self) -> Settings:
        if self.metrics_port == self.port:
            raise ValueError("METRICS_PORT: must be another than PORT")
        return self

    @property
    def hosts(self) -> list[str]:
        """The addresses that `web` listens on, one or more."""
        return self.coinfleet_host.split(",")

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


def load_settings(needed_by: Process | None = None) -> Settings:
    """Read the environment; raise SettingsFault with all that is wrong, or that a process lacks."""
    faults: list[str] = []
    settings = None
    try:
        settings = Settings()
    except ValidationError as error:
        faults = [_fault(item["loc"], item["msg"]) for item in error.errors()]
    if needed_by is not None:
        faults += [f"{name} is missing" for name in lacking(needed_by, os.environ)]
    if settings is None or faults:
        raise SettingsFault(faults)
    return settings


def lacking(process: Process, environment: Mapping[str, str]) -> list[str]:
    """Return the names of the settings that this process needs and that are unset.

    The owner's database address will do for a process without one of its own.
    """
    secrets = tuple(DEVELOPMENT_SECRETS) if process.receives_webhooks else ()
    needed = (process.address, *process.needs, *secrets)
    has_address = bool(environment.get(process.address) or environment.get(RELEASE.address))
    return [
        name
        for name in needed
        if not environment.get(name) and not (name == process.address and has_address)
    ]


def _fault(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    # What concerns two settings names them itself.
    if not location:
        return text
    name = str(location[0]).upper()
    return f"{name}: {text}{_stray(os.environ.get(name, ''))}"


def _stray(value: str) -> str:
    """Name what stands around a value and is no part of it, which nobody sees who looks at it."""
    value = value.strip()
    # As `docker --env-file` hands on what a shell would have taken away.
    if value[:1] in {'"', "'"}:
        return " (its quotation marks are part of the value here: leave them out)"
    if not (value[:1] + value[-1:]).isprintable():
        return " (it begins or ends with a character that can't be seen: leave it out)"
    return ""
