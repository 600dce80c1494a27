"""Stripe as a provider: its settings, and which of its modules does what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tasks.providers.provider import Provider
from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.signed import arrival, unreadable
from tasks.providers.stripe.interpret import interpret
from tasks.providers.stripe.objects import Envelope
from tasks.providers.stripe.verify import check_signature

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from db.facts import Fact
    from db.inbox.arrivals import Arrival
    from db.inbox.batches import ClaimedEvent
    from tasks.providers.calls import MakeCall
    from tasks.providers.examination import ProviderCheck
    from tasks.providers.history import History
    from tasks.providers.stripe.calls import StripeCalls
    from tasks.providers.stripe.history import StripeHistory

_ENVELOPE = msgspec.json.Decoder(Envelope)


class Stripe(Provider):
    """Payments by card.

    `webhook_secrets` are as Stripe shows them; any of them may have signed. `livemode` is the mode
    whose events count. `accounts` are ids of Stripe accounts whose events count although they name
    an account. With `api_key` it is called, at `api_base`, if the key is of one of `accounts` or
    there are none.
    """

    name = "stripe"
    # Each delivery of an event tells anew how many webhooks are pending.
    body_is_fixed = False
    # Stripe counts by the second; what asks for hours is something between us.
    rests_at_most_s = 60.0

    def __init__(
        self,
        *,
        webhook_secrets: Iterable[str] = (),
        livemode: bool = False,
        accounts: Iterable[str] = (),
        api_key: str | None = None,
        api_base: str = "https://api.stripe.com",
    ) -> None:
        self._keys = tuple(secret.encode() for secret in webhook_secrets)
        self._livemode = livemode
        self._accounts = frozenset(accounts)
        self._calls = _make_calls(api_key, api_base, self._accounts) if api_key else None
        self._history = _make_history(self.name, api_key, api_base) if api_key else None
        self._api_key, self._api_base = api_key, api_base

    def verify(self, body: bytes, headers: Mapping[bytes, bytes], *, now_s: float) -> Arrival:
        """Return the inbox row of a body that one of the secrets has signed."""
        check_signature(body, headers, keys=self._keys, now_s=now_s)
        try:
            envelope = _ENVELOPE.decode(body)
        except UNREADABLE_ERRORS:
            return unreadable(self.name, body)
        return arrival(self.name, event_id=envelope.id, event_type=envelope.type, body=body)

    def interpret(self, event: ClaimedEvent) -> Fact:
        """Return what an event means in this mode and for these accounts."""
        return interpret(event, livemode=self._livemode, accounts=self._accounts)

    def accounts(self) -> Collection[str]:
        """Return the accounts whose events count although they name an account."""
        return self._accounts

    def calls(self) -> Mapping[str, MakeCall]:
        """Return refunds, and the fetching of what a thin event names."""
        return self._calls.by_kind if self._calls else {}

    async def check_account(self) -> None:
        """Ask once whose account the key is of, if we say which are ours."""
        if self._calls:
            await self._calls.account.check()

    def history(self) -> History | None:
        """Return the list of events."""
        return self._history

    def checks(self, *, web_origin: str | None) -> Sequence[ProviderCheck]:
        """Return checks of the key, of the endpoint and of what was not delivered."""
        # Here, because the HTTP client takes long to import.
        from tasks.providers.stripe.checks.rows import StripeChecks  # noqa: PLC0415

        return StripeChecks(
            key=self._api_key,
            base=self._api_base,
            livemode=self._livemode,
            accounts=self._accounts,
            path=f"/webhooks/{self.name}",
            web_origin=web_origin,
        ).rows()

    async def close(self) -> None:
        """Close the connections that calls opened."""
        if self._calls:
            await self._calls.close()
        if self._history:
            await self._history.close()


def _make_calls(key: str, base: str, accounts: Collection[str]) -> StripeCalls:
    # Here, because the HTTP client takes long to import and `web` and the commands never call.
    from tasks.providers.stripe.calls import StripeCalls  # noqa: PLC0415

    return StripeCalls(key=key, base=base, accounts=accounts)


def _make_history(provider: str, key: str, base: str) -> StripeHistory:
    # Here for the same reason.
    from tasks.providers.stripe.history import StripeHistory  # noqa: PLC0415

    return StripeHistory(provider, key=key, base=base)
