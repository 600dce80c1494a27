"""Whether Google's account fits the fleet: the service account, its rights, the subscription."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.findings import Finding, broken, judge_clock, not_checked, ok
from tasks.providers.calls import CallFailed
from tasks.providers.examination import ProviderCheck, judge_failure, without
from tasks.providers.google.api import GoogleApi, GoogleRefused, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tasks.providers.google.checks.subscription import SubscriptionCheck

SETTING = "GOOGLE_SERVICE_ACCOUNT_FILE"
# No order has it. Who may see orders is told that it is not there, and who may not, that it is not
# for them.
NO_ORDER = "GPA.0000-0000-0000-00000"
RIGHTS = "View financial data, orders, and cancellation survey responses; Manage orders"
GRANT = f"Play Console, Users and permissions, the service account: {RIGHTS}"


class GoogleChecks:
    """The rows for Google."""

    def __init__(
        self,
        *,
        packages: Sequence[str],
        account: Path | None,
        base: str,
        fetch_price: bool,
        subscription: SubscriptionCheck | None = None,
    ) -> None:
        self._packages = packages
        self._account = account
        self._base = base
        self._fetch_price = fetch_price
        self._subscription = subscription

    def rows(self) -> Sequence[ProviderCheck]:
        """Return the checks."""
        return (
            ProviderCheck(
                "google account",
                "does Google know the service account, and may it read each app?",
                self.check_account if self._account else without(SETTING),
            ),
            ProviderCheck(
                "google subscription",
                "do Google Play's notifications come here?",
                self.check_subscription if self._account else without(SETTING),
            ),
        )

    async def check_subscription(self) -> list[Finding]:
        """Say whether the subscription leads here, and Google Play may publish to its topic."""
        if self._subscription is None:
            fix = "set it to projects/<project>/subscriptions/<name>, where `coinfleet doctor` runs"
            return [not_checked("GOOGLE_PUSH_SUBSCRIPTION is not set here", fix=fix)]
        try:
            return await self._subscription.check()
        except CallFailed as error:
            return [judge_failure(error, provider="Google", setting=SETTING)]

    async def check_account(self) -> list[Finding]:
        """Say for each app whether its purchases may be read, and its orders where that counts."""
        assert self._account is not None  # noqa: S101 - see rows
        api = GoogleApi(account=self._account, base=self._base)
        try:
            found = await asyncio.gather(*(self._check(api, each) for each in self._packages))
        except CallFailed as error:
            return [judge_failure(error, provider="Google", setting=SETTING)]
        finally:
            await api.close()
        return [finding for each in found for finding in each]

    async def _check(self, api: GoogleApi, package: str) -> list[Finding]:
        try:
            answer = await api.send(
                "GET", f"{quoted(package)}/purchases/voidedpurchases?maxResults=1"
            )
        except GoogleRefused as error:
            return [_refused(package, error)]
        except CallFailed as error:
            return [_forbidden(package, error, "its purchases")]
        found = [ok(f"{package}: purchases may be read")]
        if answer.dated_at is not None:
            clock = judge_clock(datetime.now(UTC), answer.dated_at, whose="Google's")
            found += [clock] if clock.fix else []
        if self._fetch_price:
            found.append(await self._check_orders(api, package))
        return found

    async def _check_orders(self, api: GoogleApi, package: str) -> Finding:
        try:
            await api.send("GET", f"{quoted(package)}/orders/{NO_ORDER}")
        except GoogleRefused:
            # There is none: whoever learns that may see orders.
            pass
        except CallFailed as error:
            return _forbidden(package, error, "its orders, and GOOGLE_FETCH_PRICE asks for them")
        return ok(f"{package}: orders may be read")


def _forbidden(package: str, error: CallFailed, what: str) -> Finding:
    """Return that a right is missing; raise any other failure."""
    if not str(error).startswith("403"):
        raise error
    return broken(
        "google_right_missing",
        f"{package}: the service account may not read {what} ({error})",
        fix=GRANT,
    )


def _refused(package: str, error: GoogleRefused) -> Finding:
    if error.status == 404:
        return broken(
            "google_app_unknown",
            f"{package}: Google knows no such app ({error})",
            fix="correct GOOGLE_PACKAGES, or publish the app on a test track first",
        )
    return not_checked(f"{package}: Google refuses to say ({error})")
