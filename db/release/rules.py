"""The rules that SQL reads: limits, decisions, sandboxes, and whether app and Apple are told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, NamedTuple

from db.connections.pool import open_connection
from db.connections.servers import CONNECT_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal
    from uuid import UUID

    from db.connections.pool import Connection

# Columns that have another name than their setting.
SETTING_OF = {"app_told_since": "APP_EVENTS_URL"}


class RuleChange(NamedTuple):
    """A rule that a release changed: its setting, and its value before and now, or None if unset.

    Of lists the number of items, and of an address only whether it is set.
    """

    setting: str
    before: str | None
    now: str | None


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
) -> list[RuleChange]:
    """Write the rules in force, as the schema's owner; they count from the next batch on.

    Return those that were others before.
    """
    connection = await open_connection(url, application_name="coinfleet release")
    try:
        before = await _read(connection)
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
        now = await _read(connection)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)
    return [
        RuleChange(SETTING_OF.get(name, name.upper()), _shown(name, before[name]), _shown(name, to))
        for name, to in now.items()
        if to != before[name]
    ]


async def _read(connection: Connection) -> dict[str, str | None]:
    rows = await connection.fetch(
        """
        select key, value
        from fleet.settings as settings, jsonb_each_text(to_jsonb(settings) - 'only_row')
        order by key
        """
    )
    return {row["key"]: row["value"] for row in rows}


def _shown(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    if name == "app_told_since":
        return "set"
    return str(len(json.loads(value))) if name == "sandbox_profiles" else value
