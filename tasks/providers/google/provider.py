"""Google Play as a provider: its settings, and which of its modules does what."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from tasks.providers.google.interpret import (
    CLIENT_PURCHASE,
    event_type_of,
    interpret,
    read_notification,
)
from tasks.providers.google.objects import PUSH, SUBMITTED
from tasks.providers.provider import Provider
from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.signed import NotAuthentic, arrival, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from db.facts import Fact
    from db.inbox.arrivals import Arrival
    from db.inbox.batches import ClaimedEvent
    from tasks.providers.calls import MakeCall
    from tasks.providers.examination import ProviderCheck
    from tasks.providers.google.calls import GoogleCalls
    from tasks.providers.google.history import GoogleHistory
    from tasks.providers.google.tokens import PushTokens
    from tasks.providers.history import History

CERTIFICATES_URL = "https://www.googleapis.com/oauth2/v1/certs"
API_BASE = "https://androidpublisher.googleapis.com"
PUBSUB_BASE = "https://pubsub.googleapis.com"


class Google(Provider):
    """Purchases of one-time products in Google Play.

    `packages` are the apps whose events count. A push is authentic if its token was made for
    `push_audience` and names the service account `push_email`. With `service_account_file` Google's
    API is called, at `api_base`; `fetch_price` asks it for prices too. `coinfleet doctor` looks at
    `push_subscription`, at `pubsub_base`.
    """

    name = "google"
    # Each delivery of a message may tell anew how often it was tried.
    body_is_fixed = False
    takes_submissions = True

    def __init__(
        self,
        *,
        packages: Iterable[str] = (),
        push_audience: str | None = None,
        push_email: str | None = None,
        certificates_url: str = CERTIFICATES_URL,
        service_account_file: Path | None = None,
        api_base: str = API_BASE,
        fetch_price: bool = False,
        push_subscription: str | None = None,
        pubsub_base: str = PUBSUB_BASE,
    ) -> None:
        self._packages = tuple(packages)
        self._tokens: PushTokens | None = None
        if push_audience and push_email:
            self._tokens = _make_tokens(push_audience, push_email, certificates_url)
        self._account, self._api_base = service_account_file, api_base
        self._fetch_price = fetch_price
        self._push = (push_subscription, pubsub_base, push_email, push_audience)
        self._calls: GoogleCalls | None = None
        self._history: GoogleHistory | None = None
        if service_account_file:
            self._calls = _make_calls(service_account_file, api_base, fetch_price=fetch_price)
            self._history = _make_history(self.name, self._packages, service_account_file, api_base)

    def is_slow(self, body: bytes, headers: Mapping[bytes, bytes]) -> bool:  # noqa: ARG002
        """Return whether certificates must be fetched first."""
        return self._tokens is not None and self._tokens.is_slow(headers)

    def verify(self, body: bytes, headers: Mapping[bytes, bytes], *, now_s: float) -> Arrival:
        """Return the inbox row of a push that Google made for us, by the id of its message."""
        if self._tokens is None:
            raise NotAuthentic("no_match")
        self._tokens.check(headers, now_s=now_s)
        try:
            message = PUSH.decode(body).message
            event_type = event_type_of(read_notification(message.data))
        except UNREADABLE_ERRORS:
            return unreadable(self.name, body)
        return arrival(self.name, event_id=message.message_id, event_type=event_type, body=body)

    def read_submission(self, body: bytes, *, profile_id: UUID, now_s: float) -> Arrival:  # noqa: ARG002
        """Return the inbox row of a purchase token that a client has; Google is asked of it later.

        Raises NotAuthentic for a body of another shape.
        """
        try:
            submitted = SUBMITTED.decode(body)
        except UNREADABLE_ERRORS:
            raise NotAuthentic("unreadable") from None
        token = sha256(submitted.purchase_token.encode()).hexdigest()
        payload = msgspec.json.encode({"profile_id": profile_id, "body": submitted})
        return arrival(
            self.name,
            event_id=f"client:{profile_id}:{token}",
            event_type=CLIENT_PURCHASE,
            body=payload,
        )

    def interpret(self, event: ClaimedEvent) -> Fact:
        """Return what an event means for our apps."""
        return interpret(event, packages=self._packages)

    def calls(self) -> Mapping[str, MakeCall]:
        """Return how purchases are read, acknowledged, consumed and refunded."""
        return self._calls.by_kind if self._calls else {}

    def history(self) -> History | None:
        """Return the lists of voided purchases and of orders."""
        return self._history

    def checks(self, *, web_origin: str | None) -> Sequence[ProviderCheck]:
        """Return checks of the service account and of the push subscription."""
        # Here, because the HTTP client takes long to import.
        from tasks.providers.google.checks.rows import GoogleChecks  # noqa: PLC0415
        from tasks.providers.google.checks.subscription import SubscriptionCheck  # noqa: PLC0415

        name, base, email, audience = self._push
        subscription = None
        if self._account and name:
            path = f"/webhooks/{self.name}"
            subscription = SubscriptionCheck(
                account=self._account,
                base=base,
                name=name,
                path=path,
                url=f"{web_origin}{path}" if web_origin else None,
                email=email,
                audience=audience,
            )
        return GoogleChecks(
            packages=self._packages,
            account=self._account,
            base=self._api_base,
            fetch_price=self._fetch_price,
            subscription=subscription,
        ).rows()

    async def close(self) -> None:
        """Close the connections that calls opened."""
        if self._calls:
            await self._calls.close()
        if self._history:
            await self._history.close()


def _make_tokens(audience: str, email: str, certificates_url: str) -> PushTokens:
    # Here, because these libraries take memory that a process without Google does not need.
    from tasks.providers.google.tokens import PushTokens  # noqa: PLC0415

    return PushTokens(audience=audience, email=email, certificates_url=certificates_url)


def _make_calls(account: Path, base: str, *, fetch_price: bool) -> GoogleCalls:
    # Here for the same reason.
    from tasks.providers.google.calls import GoogleCalls  # noqa: PLC0415

    return GoogleCalls(account=account, base=base, fetch_price=fetch_price)


def _make_history(
    provider: str, packages: Sequence[str], account: Path, base: str
) -> GoogleHistory:
    # Here for the same reason.
    from tasks.providers.google.history import GoogleHistory  # noqa: PLC0415

    return GoogleHistory(provider, packages=packages, account=account, base=base)
