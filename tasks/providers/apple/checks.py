"""Whether Apple's account fits the fleet: a test notification's round trip, and the root.

Each check asks Apple to send a notification of type TEST, which is stored as `ignored`.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from tasks.findings import Finding, attention, broken, judge_clock, not_checked, ok
from tasks.providers.apple.objects import PRODUCTION, SANDBOX
from tasks.providers.calls import CallFailed, CallRefused, KeyRefused, ProviderUnreachable
from tasks.providers.examination import ProviderCheck, judge_failure, without
from tasks.providers.reading import UNREADABLE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.providers.apple.api import AppStoreApi

SETTINGS = "APPLE_PRIVATE_KEY_FILE"
PATH = "/inApps/v1/notifications/test"
# Apple Root CA - G3, as Apple publishes it at apple.com/certificateauthority.
ROOT_G3 = "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179"
# The root of the mock in workers/mock_providers; whether it may count here is another check's
# matter (`mode`), which knows where `web` listens.
DEVELOPMENT_ROOT = "eb656d7d36819e812c7dd98c68a0dab3483e313cb68fb3551b0ca7b3b6219d85"
SUCCESS = "SUCCESS"
# Apple's codes: no URL is set for this app; the result is not there yet.
NO_URL = "4040007"
NOT_SENT_YET = "4040008"
# Apple sends within a second or two; all of it has to end before the check's own bound.
ASKED_TIMES = 6
PAUSE_S = 0.6
# What each result means, by Apple's name of it.
RESULTS = {
    "SSL_ISSUE": "it does not trust the certificate of `web`, or TLS is too old",
    "NO_RESPONSE": "`web` did not answer",
    "TIMED_OUT": "`web` answered too late",
    "SOCKET_ISSUE": "the connection broke",
    "UNSUPPORTED_CHARSET": "the answer has another charset",
    "INVALID_RESPONSE": "`web` did not answer 200 to 206",
    "UNSUCCESSFUL_HTTP_RESPONSE_CODE": "`web` did not answer 200 to 206",
    "CIRCULAR_REDIRECT": "the address redirects in a circle",
    "PREMATURE_CLOSE": "the connection was closed too soon",
}


class Asked(msgspec.Struct):
    """The answer to the request for a notification."""

    testNotificationToken: str  # noqa: N815 - the names are Apple's


class Attempt(msgspec.Struct):
    """One try of sending it."""

    sendAttemptResult: str = ""  # noqa: N815


class Sent(msgspec.Struct):
    """What became of it."""

    sendAttempts: list[Attempt] = msgspec.field(default_factory=list)  # noqa: N815


_ASKED = msgspec.json.Decoder(Asked)
_SENT = msgspec.json.Decoder(Sent)


class AppleChecks:
    """The rows for Apple; `api` is None without a key. Closes nothing."""

    def __init__(
        self,
        *,
        bundle_ids: Sequence[str],
        roots: Sequence[bytes],
        api: AppStoreApi | None,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._bundle_ids = bundle_ids
        self._roots = roots
        self._api = api
        self._pause_s = pause_s

    def rows(self) -> Sequence[ProviderCheck]:
        """Return the checks."""
        return (
            ProviderCheck("apple root", "whose signatures count as Apple's?", self.check_root),
            ProviderCheck(
                "apple notification",
                "does a test notification, which this asks for, come here?",
                self.check_notification if self._api else without(SETTINGS),
            ),
        )

    async def check_root(self) -> list[Finding]:
        """Say whether chains must end in Apple's own root."""
        if not self._roots:
            return [not_checked("APPLE_ROOT_CERTIFICATES is not set here")]
        found = {sha256(each).hexdigest() for each in self._roots}
        others = sorted(found - {ROOT_G3, DEVELOPMENT_ROOT})
        if not others and DEVELOPMENT_ROOT in found:
            return [ok("the root for development; `mode` says whether it may count here")]
        if not others:
            return [ok("Apple Root CA - G3, and no other")]
        return [
            attention(
                "apple_root_foreign",
                f"APPLE_ROOT_CERTIFICATES holds what is not Apple Root CA - G3 (SHA-256"
                f" {', '.join(each[:16] + '…' for each in others)}): whoever has its key can grant"
                " coins",
                fix="in production name the file of Apple Root CA - G3 alone (docs/providers.md)",
            )
        ]

    async def check_notification(self) -> list[Finding]:
        """Have Apple send a notification for each app, and say what became of it."""
        found = await asyncio.gather(*map(self._check_app, self._bundle_ids))
        return [finding for each in found for finding in each]

    async def _check_app(self, bundle_id: str) -> list[Finding]:
        try:
            return await self._round_trip(bundle_id, PRODUCTION)
        except KeyRefused:
            # Production takes no key of an app that was never released.
            pass
        except (CallFailed, CallRefused) as error:
            return [_fault(error, bundle_id, PRODUCTION)]
        try:
            found = await self._round_trip(bundle_id, SANDBOX)
        except (CallFailed, CallRefused) as error:
            return [_fault(error, bundle_id, SANDBOX)]
        what = f"{bundle_id}: production takes the key only once the app is released"
        return [*found, not_checked(what)]

    async def _round_trip(self, bundle_id: str, environment: str) -> list[Finding]:
        """Return what became of a notification. Raises CallFailed and CallRefused."""
        assert self._api is not None  # noqa: S101 - see rows
        answer = await self._api.send("POST", PATH, environment=environment, bundle_id=bundle_id)
        found = []
        if answer.dated_at is not None:
            clock = judge_clock(datetime.now(UTC), answer.dated_at, whose="Apple's")
            found = [clock] if clock.fix else []
        try:
            token = _ASKED.decode(answer.body).testNotificationToken
        except UNREADABLE_ERRORS:
            raise ProviderUnreachable("200 and an unreadable answer") from None
        result = await self._result(token, environment, bundle_id)
        return [*found, _judge(result, bundle_id, environment)]

    async def _result(self, token: str, environment: str, bundle_id: str) -> str | None:
        assert self._api is not None  # noqa: S101 - see rows
        for _ in range(ASKED_TIMES):
            try:
                answer = await self._api.send(
                    "GET", f"{PATH}/{token}", environment=environment, bundle_id=bundle_id
                )
                attempts = _SENT.decode(answer.body).sendAttempts
            except CallRefused as error:
                if NOT_SENT_YET not in str(error):
                    raise
                attempts = []
            except UNREADABLE_ERRORS:
                raise ProviderUnreachable("200 and an unreadable answer") from None
            if attempts:
                return attempts[-1].sendAttemptResult
            await asyncio.sleep(self._pause_s)
        return None


def _judge(result: str | None, bundle_id: str, environment: str) -> Finding:
    where = f"{bundle_id} ({environment.lower()})"
    if result == SUCCESS:
        return ok(f"{where}: Apple sent a test notification, and `web` took it")
    if result is None:
        what = f"{where}: Apple has not sent the test notification yet"
        return not_checked(what, fix="run it again in a minute")
    known = RESULTS.get(result)
    said = f"{result}: {known}" if known else result[:40]
    return broken(
        "apple_notification_refused",
        f"{where}: Apple sent a test notification, and `web` did not take it ({said})",
        fix="in App Store Connect set https://<host>/webhooks/apple, Version 2, for production and"
        " sandbox; then see the log of `web`",
    )


def _fault(error: CallFailed | CallRefused, bundle_id: str, environment: str) -> Finding:
    where = f"{bundle_id} ({environment.lower()})"
    if isinstance(error, CallFailed):
        return judge_failure(error, provider=f"Apple, for {where},", setting=SETTINGS)
    if NO_URL in str(error):
        return broken(
            "apple_address_missing",
            f"{where}: no address for notifications is set at Apple",
            fix="in App Store Connect set https://<host>/webhooks/apple, Version 2, for production"
            " and sandbox",
        )
    return not_checked(f"{where}: Apple refuses to send a test notification ({error})")
