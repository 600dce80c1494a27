"""What strangers send between the events of a run, and the answers that each may get.

None of it may change anything. What is signed and can't be read is kept, as `rejected: malformed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from tasks.providers import app, stripe
from tasks.providers.app import App
from tasks.providers.apple import Apple
from tasks.providers.google import Google
from tasks.providers.stripe import Stripe
from workers.cli.simulate.events import Webhook, app_webhook, stripe_webhook

if TYPE_CHECKING:
    from random import Random

    from workers.cli.simulate.plan import Secrets

# A signature is good for five minutes.
LONG_AGO_S = 3_600
NOT_AUTHENTIC = frozenset({HTTPStatus.BAD_REQUEST})
UNKNOWN = frozenset({HTTPStatus.NOT_FOUND})
KEPT = frozenset({HTTPStatus.OK})
# A fleet may not take the store's events at all.
NOT_AUTHENTIC_OR_UNKNOWN = NOT_AUTHENTIC | UNKNOWN
# A fleet that takes no purchases from clients does not know the path.
NOT_SIGNED_IN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND})

Forge: TypeAlias = Callable[["Secrets", float], Webhook]


@dataclass(frozen=True, slots=True)
class Garbage:
    """One request that no provider makes, and the statuses with which it may be answered."""

    forge: Forge
    statuses: frozenset[HTTPStatus]

    def sign(self, secrets: Secrets, *, at_s: float) -> Webhook:
        """Return the request."""
        return self.forge(secrets, at_s)


_EVENT = {"id": "evt_nobody", "object": "event", "type": "payment_intent.succeeded", "data": {}}


def _unsigned(_secrets: Secrets, _at_s: float) -> Webhook:
    return Webhook(f"/webhooks/{Stripe.name}", {}, b'{"id": "evt_nobody"}')


def _by_another_secret(_secrets: Secrets, at_s: float) -> Webhook:
    return stripe_webhook(_EVENT, secret="whsec_of_somebody_else", at_s=at_s)  # noqa: S106


def _altered(secrets: Secrets, at_s: float) -> Webhook:
    sent = stripe_webhook(_EVENT, secret=secrets.stripe, at_s=at_s)
    return replace(sent, body=sent.body.replace(b"nobody", b"anyone"))


def _of_long_ago(secrets: Secrets, at_s: float) -> Webhook:
    return app_webhook("gift-nobody", {"type": "x"}, secret=secrets.app, at_s=at_s - LONG_AGO_S)


def _too_deep(_secrets: Secrets, _at_s: float) -> Webhook:
    return Webhook(f"/webhooks/{App.name}", {"webhook-signature": "v1,AAAA"}, b"[" * 10_000)


def _no_text(_secrets: Secrets, _at_s: float) -> Webhook:
    return Webhook(f"/webhooks/{Stripe.name}", {"stripe-signature": "t=x,v1=\t"}, b"\xff\xfe\x00")


def _for_nobody(_secrets: Secrets, _at_s: float) -> Webhook:
    return Webhook("/webhooks/nobody", {}, b"{}")


def _client_of_nobody(_secrets: Secrets, _at_s: float) -> Webhook:
    return Webhook(f"/purchases/{Apple.name}", {"authorization": "Bearer nothing"}, b"{}")


def _client_without_token(_secrets: Secrets, _at_s: float) -> Webhook:
    body = b'{"signed_transaction": "eyJhbGciOiJub25lIn0.e30."}'
    return Webhook(f"/purchases/{Apple.name}", {}, body)


def _apple_of_nobody(_secrets: Secrets, _at_s: float) -> Webhook:
    # A header {"alg": "none"}, and nothing that is signed.
    body = b'{"signedPayload": "eyJhbGciOiJub25lIn0.e30."}'
    return Webhook(f"/webhooks/{Apple.name}", {}, body)


def _push_of_nobody(_secrets: Secrets, _at_s: float) -> Webhook:
    headers = {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}
    return Webhook(f"/webhooks/{Google.name}", headers, b'{"message": {"messageId": "1"}}')


def _signed_and_unreadable(secrets: Secrets, at_s: float) -> Webhook:
    body = b"{" * 100
    headers = stripe.sign(body, secret=secrets.stripe, timestamp_s=int(at_s))
    return Webhook(f"/webhooks/{Stripe.name}", headers, body)


def _gift_that_is_none(secrets: Secrets, at_s: float) -> Webhook:
    body = b'{"type": 7}'
    headers = app.sign("gift-that-is-none", body, secret=secrets.app, timestamp_s=int(at_s))
    return Webhook(f"/webhooks/{App.name}", headers, body)


KINDS = (
    Garbage(_unsigned, NOT_AUTHENTIC),
    Garbage(_by_another_secret, NOT_AUTHENTIC),
    Garbage(_altered, NOT_AUTHENTIC),
    Garbage(_of_long_ago, NOT_AUTHENTIC),
    Garbage(_too_deep, NOT_AUTHENTIC),
    Garbage(_no_text, NOT_AUTHENTIC),
    Garbage(_for_nobody, UNKNOWN),
    Garbage(_client_of_nobody, NOT_SIGNED_IN),
    Garbage(_client_without_token, NOT_SIGNED_IN),
    Garbage(_apple_of_nobody, NOT_AUTHENTIC_OR_UNKNOWN),
    Garbage(_push_of_nobody, NOT_AUTHENTIC_OR_UNKNOWN),
    Garbage(_signed_and_unreadable, KEPT),
    Garbage(_gift_that_is_none, KEPT),
)
# One to so many events.
EVENTS_PER_GARBAGE = 5


def pick(random: Random, events: int) -> list[Garbage]:
    """Return garbage for a run of so many events: each kind at least once, in random order."""
    more = random.choices(KINDS, k=max(0, events // EVENTS_PER_GARBAGE - len(KINDS)))
    found = [*KINDS, *more]
    random.shuffle(found)
    return found
