"""release: the process that brings the database to this release's schema and rules, then exits.

It runs before the other processes, as the schema's owner (`python -m workers.release`).
"""

from __future__ import annotations

import asyncio

import structlog

from db.errors import CoinfleetError
from db.release import rules
from db.release.plan import Step
from db.release.runner import Report, migrate
from workers.logs import configure_logging
from workers.processes import RELEASE
from workers.settings import Settings, load_settings
from workers.signals import start_signals

OLDER_USERS_REMEDY = (
    "users who signed up before the schema have no profile until the role of DATABASE_URL"
    " may read auth.users: grant it select, and bypassrls where the table has row level security"
)

DIFFERENT_REMEDY = (
    "applying the files again does not undo it: undo it by hand; db/migrations says what a table"
    " must have"
)


async def release(settings: Settings) -> Report:
    """Migrate, write the rules of the settings to the database, and return what changed.

    Logs each rule that changed, and what only a person can undo. Raises CoinfleetError.
    """
    assert settings.database_url is not None  # noqa: S101 -- load_settings asks for it
    report = await migrate(settings.database_url, on_step=_log_step)
    changes = await rules.configure(
        settings.database_url,
        purchase_limit_usd=settings.purchase_limit_usd,
        approval_threshold_usd=settings.approval_threshold_usd,
        purchases_per_minute=settings.purchases_per_minute,
        max_active_streams_per_viewer=settings.max_active_streams_per_viewer,
        second_approver_above_usd=settings.second_approver_above_usd,
        hold_expires_days=settings.hold_expires_days,
        store_sandbox=settings.store_sandbox,
        sandbox_profiles=settings.sandbox_profiles,
        sandbox_coins_per_day=settings.sandbox_coins_per_day,
        app_is_told=settings.app_events_url is not None,
        apple_customers_consented=settings.apple_customers_consented,
    )
    for change in changes:
        # A shell without the release's settings would put the defaults in force unseen.
        structlog.get_logger().warning("rule_changed", **change._asdict())
    if report.profiles_made is None:
        structlog.get_logger().warning("older_users_not_read", remedy=OLDER_USERS_REMEDY)
    if report.sequences_mended:
        structlog.get_logger().warning("sequences_mended", count=report.sequences_mended)
    for difference in report.different:
        structlog.get_logger().error(
            "catalog_differs",
            file=difference.path,
            lost=difference.lost,
            gained=difference.gained,
            remedy=DIFFERENT_REMEDY,
        )
    return report


def _log_step(step: Step) -> None:
    structlog.get_logger().debug("step_applied", step=step.path)


def main() -> None:
    """Release; exit 1 with one line in the log if that fails."""
    settings = load_settings(RELEASE)
    configure_logging(settings.log_format)
    start_signals(settings, RELEASE)
    log = structlog.get_logger()
    try:
        report = asyncio.run(release(settings))
    except CoinfleetError as error:
        log.error("release_failed", reason=str(error), kind=type(error).__name__)  # noqa: TRY400
        raise SystemExit(1) from None
    log.info("released", steps=len(report.steps), profiles_made=report.profiles_made or 0)


if __name__ == "__main__":
    main()
