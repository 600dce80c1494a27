"""The settings of the fleet itself: addresses, rules of purchases, sizes. None is a provider's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from workers.settings.values import (
    BaseAddress,
    BrokerAddress,
    CommaSeparated,
    HttpAddress,
    ListenAddresses,
    PostgresAddress,
    ProviderName,
    RedisAddress,
    SentryAddress,
    WorkerName,
)


class FleetSettings(BaseModel):
    """One field for each setting, named as in the environment but in lower case."""

    coinfleet_host: ListenAddresses = "127.0.0.1"
    """Address that `web` listens on; 0.0.0.0 in a container, `0.0.0.0,::` for IPv6 too."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port that `web` listens on."""
    web_origin: BaseAddress | None = None
    """The address at which providers reach `web`: https://pay.example.com; for `doctor` alone."""
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Port at which `web` answers /metrics, and nothing else; if unset, `PORT` answers it too."""
    coinfleet_data_dir: Path = Path(".coinfleet")
    """Where the embedded servers keep their data, and where `fleet.json` says how to find them."""

    database_url: PostgresAddress | None = Field(default=None, repr=False)
    """The schema owner's address, for release and operators."""
    web_database_url: PostgresAddress | None = Field(default=None, repr=False)
    """The address of the login role coinfleet_web."""
    worker_database_url: PostgresAddress | None = Field(default=None, repr=False)
    """The address of the login role coinfleet_worker."""
    scheduler_database_url: PostgresAddress | None = Field(default=None, repr=False)
    """The address of the login role coinfleet_scheduler."""
    operator_database_url: PostgresAddress | None = Field(default=None, repr=False)
    """The address of a person who decides what is held; without one the owner's."""
    redis_url: RedisAddress | None = Field(default=None, repr=False)
    """The queue's address."""
    broker_url: BrokerAddress | None = Field(default=None, repr=False)
    """The queue's address in place of REDIS_URL; it may be RabbitMQ's."""

    providers_enabled: Annotated[tuple[ProviderName, ...], *CommaSeparated] = ()
    """The providers whose events are taken; if unset, those whose settings are complete."""

    purchase_limit_usd: Decimal = Field(
        default=Decimal("50000.00"), gt=0, decimal_places=2, max_digits=12
    )
    """US dollars; a purchase of exactly this much is within the limit."""
    approval_threshold_usd: Decimal = Field(
        default=Decimal("25000.00"), gt=0, decimal_places=2, max_digits=12
    )
    """US dollars; a purchase above this waits for a person."""
    second_approver_above_usd: Decimal | None = Field(
        default=None, ge=0, decimal_places=2, max_digits=12
    )
    """US dollars; two people approve what is worth more, or whose worth is unknown."""
    hold_expires_days: int | None = Field(default=None, ge=1, le=3650)
    """Days after which a held purchase is rejected and refunded; if unset, never."""
    store_sandbox: Literal["ignore", "grant"] = "ignore"
    """Whether purchases of Apple and Google that cost nothing (sandbox, test accounts) count."""
    sandbox_profiles: Annotated[tuple[UUID, ...], *CommaSeparated] = ()
    """Profiles whose sandbox purchases are granted all the same."""
    sandbox_coins_per_day: int = Field(default=10_000, ge=1, le=10**12)
    """Coins that each of them is granted so per day (UTC)."""
    purchases_per_minute: int = Field(default=5, ge=1, le=1_000_000)
    """Purchases that one buyer may make within any 60 s."""
    max_active_streams_per_viewer: int = Field(default=4, ge=1, le=1_000_000)
    """Streams on which one viewer counts at the same time."""

    status_held_after_minutes: int = Field(default=30, ge=0, le=1_000_000)
    """Minutes that money may be held before `coinfleet status` asks for a person."""

    worker_threads: int = Field(default=8, ge=1, le=64)
    """Threads of a worker process; each runs one actor at a time."""
    worker_name: WorkerName | None = None
    """What a worker is called in metrics, before its number; the machine's name if unset."""
    batch_size: int = Field(default=500, ge=1, le=5000)
    """Events that a worker claims at once, at most."""
    sentry_dsn: SentryAddress | None = Field(default=None, repr=False)
    """Where errors are sent, without any data; if unset, nowhere."""
    sentry_environment: str = Field(default="production", pattern=r"^[^\s/]{1,64}$")
    """What Sentry calls this fleet."""
    otel_exporter_otlp_endpoint: HttpAddress | None = None
    """The collector to which spans are sent, by HTTP; if unset, there are none."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto` is colours on a terminal and JSON elsewhere."""

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.metrics_port == self.port:
            raise ValueError("METRICS_PORT: must be another than PORT")
        return self

    @property
    def queue_url(self) -> str | None:
        """The address of the queue, whichever setting has it."""
        return self.broker_url or self.redis_url

    @property
    def hosts(self) -> list[str]:
        """The addresses that `web` listens on, one or more."""
        return self.coinfleet_host.split(",")
