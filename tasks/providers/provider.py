"""Provider: the interface of a payment provider; the fleet knows nothing else of one.

Refuses to hold a provider's setting: those are parameters of the provider's own class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.arrivals import Arrival
    from db.batches import ClaimedEvent
    from db.facts import Fact


class Provider(ABC):
    """One provider: proves who sent a webhook, and says what its events mean for coins.

    A process builds it once, when it starts. The keyword parameters of its class are its
    settings: `livemode` of the provider `stripe` is the setting STRIPE_LIVEMODE. Each of them has a
    default, because not every process knows every setting: without a secret no webhook is
    authentic.

        provider = Stripe(webhook_secrets=("whsec_…",), livemode=True)
        arrival = provider.verify(body, headers, now_s=time.time())    # in `web`
        fact = provider.interpret(claimed_event)                       # in `worker`
    """

    name: ClassVar[str]
    """In lower case; it stands in `/webhooks/{name}`, in the inbox and in metrics."""

    body_is_fixed: ClassVar[bool]
    """Whether one event id with two different bodies is a mistake of the sender (409)."""

    def is_slow(self, body: bytes, headers: Mapping[bytes, bytes]) -> bool:  # noqa: ARG002
        """Return whether `verify` would need more than a millisecond for this request.

        It then runs on a thread, beside other calls, so that the event loop goes on.
        """
        return False

    @abstractmethod
    def verify(self, body: bytes, headers: Mapping[bytes, bytes], *, now_s: float) -> Arrival:
        """Return the inbox row of an authentic body. Raises NotAuthentic.

        `headers` have lower-case names; `now_s` is in seconds since 1970. An authentic body that
        cannot be read is an arrival too (`rejected: malformed`), for a refusal would only have it
        sent again. Neither the body nor a header may stand in an error or in a log.
        """

    @abstractmethod
    def interpret(self, event: ClaimedEvent) -> Fact:
        """Return what an event means for coins.

        Pure: the same event means the same each time, and nothing is looked up. Total: any bytes
        have a meaning, unreadable ones `rejected: malformed`.
        """
