"""The rules that SQL reads: limits, decisions, sandboxes, and whether app and Apple are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from db.connections.pool import open_connection
from db.connections.servers import CONNECT_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal
    from uuid import UUID


async def configure(
    url: str,
    *,
    purchase_limit_usd: Decimal,
    approval_threshold_usd: Decimal,
    purchases_per_minute: int,
    max_active_streams_per_viewer: int,
    second_approver_above_usd: Decimal | None = None,
    hold_expires_days: int | None = None,
    store_sandbox: Literal["ignore", "grant"] = "ignore",
    sandbox_profiles: Sequence[UUID] = (),
    sandbox_coins_per_day: int = 10_000,
    app_is_told: bool = False,
    apple_customers_consented: bool = False,
) -> None:
    """Write the rules in force, as the schema's owner; they count from the next batch on."""
    connection = await open_connection(url, application_name="coinfleet release")
    try:
        await connection.execute(
            "select fleet.configure($1, $2, $3, $4)",
            purchase_limit_usd,
            approval_threshold_usd,
            purchases_per_minute,
            max_active_streams_per_viewer,
        )
        await connection.execute(
            "select fleet.configure_decisions($1, $2)",
            second_approver_above_usd,
            hold_expires_days,
        )
        await connection.execute(
            "select fleet.configure_stores($1, $2, $3)",
            store_sandbox,
            list(sandbox_profiles),
            sandbox_coins_per_day,
        )
        await connection.execute("select fleet.configure_app_events($1)", app_is_told)
        await connection.execute("select fleet.configure_consent($1)", apple_customers_consented)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)
