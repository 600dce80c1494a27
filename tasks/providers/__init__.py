"""One door per vendor: `verify` proves who sent a webhook, `interpret` says what it means.

A vendor is known to the fleet by its line in PROVIDERS, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tasks.providers import app, stripe

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from db.facts import Fact
    from db.inbox import Arrival, ClaimedEvent


class Verify(Protocol):
    """Gives the inbox row of an authentic body; raises NotAuthentic."""

    def __call__(  # noqa: D102
        self,
        headers: Mapping[bytes, bytes],
        body: bytes,
        *,
        secrets: Sequence[str],
        now_s: float,
    ) -> Arrival: ...


class Interpret(Protocol):
    """Says what an event means: pure and total.

    `livemode` and `accounts` are Stripe's: the mode that counts, and the account ids that do.
    """

    def __call__(  # noqa: D102
        self, event: ClaimedEvent, *, livemode: bool, accounts: Collection[str] = ()
    ) -> Fact: ...


@dataclass(frozen=True, slots=True)
class Door:
    """How one vendor's events come in.

    With `body_is_fixed`, the same event id with another body is the sender's mistake. Stripe's
    isn't: each delivery counts `pending_webhooks` anew.
    """

    verify: Verify
    interpret: Interpret
    body_is_fixed: bool


PROVIDERS: dict[str, Door] = {
    stripe.PROVIDER: Door(verify=stripe.verify, interpret=stripe.interpret, body_is_fixed=False),
    app.PROVIDER: Door(verify=app.verify, interpret=app.interpret, body_is_fixed=True),
}
