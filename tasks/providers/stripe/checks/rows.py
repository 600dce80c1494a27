"""Whether Stripe's account fits the fleet: the rows, the key, and what was not delivered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from tasks.findings import Finding, attention, broken, judge_clock, not_checked, ok
from tasks.providers.calls import AccountNotOurs, CallFailed, ProviderUnreachable
from tasks.providers.examination import ProviderCheck, judge_failure, without
from tasks.providers.reading import UNREADABLE_ERRORS, moment
from tasks.providers.stripe.api import KeyLacksRight, StripeApi, StripeRefused
from tasks.providers.stripe.calls import ACCOUNT_PATH, AccountCheck
from tasks.providers.stripe.checks.endpoints import EndpointCheck
from tasks.providers.stripe.history import TYPES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from tasks.findings import Ask

SETTING = "STRIPE_API_KEY"
PAGE = 100
# Stripe sends again for three days, and lists events for thirty.
UNDELIVERED_FOR = timedelta(days=30)
# A webhook that fails is sent again within minutes.
SETTLED_AFTER = timedelta(hours=1)


class Undelivered(msgspec.Struct):
    """An event that some endpoint has not taken."""

    id: str
    type: str
    created: int = 0


class UndeliveredList(msgspec.Struct):
    """A page of the list."""

    data: list[Undelivered]
    has_more: bool = False


_UNDELIVERED = msgspec.json.Decoder(UndeliveredList)


class StripeChecks:
    """The rows for Stripe; see EndpointCheck."""

    def __init__(
        self,
        *,
        key: str | None,
        base: str,
        livemode: bool,
        accounts: Collection[str],
        path: str,
        web_origin: str | None,
    ) -> None:
        self._key, self._base = key, base
        self._livemode = livemode
        self._accounts = accounts
        self._endpoints = EndpointCheck(livemode=livemode, path=path, web_origin=web_origin)

    def rows(self) -> Sequence[ProviderCheck]:
        """Return the checks."""
        return (
            ProviderCheck(
                "stripe key",
                "is the key taken, whose is it, and is the clock right?",
                self._with_api(self.check_key),
            ),
            ProviderCheck(
                "stripe endpoint",
                "does Stripe send all our events, once, to this fleet?",
                self._with_api(self._endpoints.check),
            ),
            ProviderCheck(
                "stripe undelivered",
                "which events did Stripe not get delivered?",
                self._with_api(self.check_undelivered),
            ),
        )

    def _with_api(self, ask: Callable[[StripeApi], Awaitable[list[Finding]]]) -> Ask:
        if self._key is None:
            return without(SETTING)
        key = self._key

        async def asked() -> list[Finding]:
            api = StripeApi(key=key, base=self._base)
            try:
                return await ask(api)
            except KeyLacksRight as error:
                right = "Webhook Endpoints and Events: read"
                what = f"the key may not ask this ({error})"
                return [not_checked(what, fix=f"give the restricted key the rights {right}")]
            except CallFailed as error:
                return [judge_failure(error, provider="Stripe", setting=SETTING)]
            except StripeRefused as error:
                return [not_checked(f"Stripe refuses to say ({error})")]
            finally:
                await api.close()

        return asked

    async def check_key(self, api: StripeApi) -> list[Finding]:
        """Say whether the key is taken, whose it is, and how far Stripe's clock is from ours."""
        mode = "live" if self._livemode else "test"
        try:
            answer = await api.get(ACCOUNT_PATH)
        except KeyLacksRight as error:
            what = f"the key may not read its account ({error}), so it is trusted as it is"
            return [
                attention(
                    "stripe_account_unread", what, fix="give it the right to read the account"
                )
            ]
        found = [ok(f"Stripe takes the key, of {mode} mode")]
        if answer.dated_at is not None:
            found.append(judge_clock(datetime.now(UTC), answer.dated_at, whose="Stripe's"))
        try:
            await AccountCheck(api, self._accounts).check()
        except AccountNotOurs as error:
            fix = "set the key of our account, or add this one to STRIPE_ACCOUNTS"
            found.append(broken("stripe_account_foreign", str(error), fix=fix))
        return found

    async def check_undelivered(self, api: StripeApi) -> list[Finding]:
        """Say which of our events some endpoint did not take, and since when."""
        pages = [await _read_undelivered(api, types) for types in TYPES]
        # Stripe lists the newest first.
        found = sorted((each for page in pages for each in page.data), key=lambda x: x.created)
        if not found:
            return [ok("Stripe got each of our events of the last 30 days delivered")]
        at = moment(found[0].created)
        since = f"{at:%Y-%m-%d}" if at else "…"
        number = f"{'at least ' if any(page.has_more for page in pages) else ''}{len(found)}"
        return [
            attention(
                "stripe_undelivered",
                f"not taken by some endpoint: {number} of our events, the oldest listed"
                f" ({found[0].id}) of {since}; Stripe forgets them after 30 days",
                fix=f"mend the endpoint, then `coinfleet backfill stripe --since {since}`",
            )
        ]


async def _read_undelivered(api: StripeApi, types: Sequence[str]) -> UndeliveredList:
    now = datetime.now(UTC)
    query: list[tuple[str, str | int]] = [
        ("limit", PAGE),
        ("delivery_success", "false"),
        ("created[gte]", int((now - UNDELIVERED_FOR).timestamp())),
        ("created[lt]", int((now - SETTLED_AFTER).timestamp())),
        *(("types[]", each) for each in types),
    ]
    answer = await api.get(f"/v1/events?{urlencode(query)}")
    try:
        return _UNDELIVERED.decode(answer.body)
    except UNREADABLE_ERRORS:
        raise ProviderUnreachable("200 and an unreadable list") from None
