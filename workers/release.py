"""release: brings the database to this release's schema and rules, then exits.

Runs before the other processes, as the schema's owner. A failure fails the release with one line.
"""

from __future__ import annotations

import asyncio

import structlog

from db import rules
from db.errors import CoinfleetError
from db.migrate import migrate
from db.schema import Step
from workers.logs import configure_logging
from workers.settings import Settings, load_settings


async def release(settings: Settings) -> int:
    """Migrate and write the rules; return how many steps that took."""
    assert settings.database_url is not None  # noqa: S101 -- load_settings saw to it
    report = await migrate(settings.database_url, on_step=_log_step)
    await rules.configure(
        settings.database_url,
        purchase_limit_usd=settings.purchase_limit_usd,
        approval_threshold_usd=settings.approval_threshold_usd,
        purchases_per_minute=settings.purchases_per_minute,
        max_active_streams_per_viewer=settings.max_active_streams_per_viewer,
    )
    return len(report.steps)


def _log_step(step: Step) -> None:
    structlog.get_logger().debug("step_applied", step=str(step))


def main() -> None:
    """Entry point of the process."""
    settings = load_settings("release")
    configure_logging(settings.log_format)
    log = structlog.get_logger()
    try:
        steps = asyncio.run(release(settings))
    except CoinfleetError as error:
        log.error("release_failed", reason=str(error), kind=type(error).__name__)  # noqa: TRY400
        raise SystemExit(1) from None
    log.info("released", steps=steps)


if __name__ == "__main__":
    main()
