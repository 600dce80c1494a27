"""Provider: the interface of a payment provider; the fleet knows nothing else of one.

Refuses to hold a provider's setting: those are parameters of the provider's own class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tasks.providers.signed import NotAuthentic

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from db.facts import Fact
    from db.inbox.arrivals import Arrival
    from db.inbox.batches import ClaimedEvent
    from tasks.providers.calls import MakeCall
    from tasks.providers.examination import ProviderCheck
    from tasks.providers.history import History


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

    may_ask: ClassVar[bool] = False
    """Whether it may ask at `/events/{name}/{id}` what became of an event of its own."""

    takes_submissions: ClassVar[bool] = False
    """Whether a signed-in client may submit a purchase of its own at `/purchases/{name}`."""

    calls_at_once_here: ClassVar[int] = 4
    """How many calls one worker makes at once; with a third of a second per call, 12 per second."""

    calls_at_once: ClassVar[int] = 8
    """How many calls all workers together make at once: Stripe takes 25 requests per second."""

    rests_at_most_s: ClassVar[float] = 3_600.0
    """For how long no call at all is made because an answer asked for a pause."""

    def is_slow(self, body: bytes, headers: Mapping[bytes, bytes]) -> bool:  # noqa: ARG002
        """Return whether `verify` would need more than a millisecond for this request.

        It then runs on a thread, beside other calls, so that the event loop goes on.
        """
        return False

    @abstractmethod
    def verify(self, body: bytes, headers: Mapping[bytes, bytes], *, now_s: float) -> Arrival:
        """Return the inbox row of an authentic body. Raises NotAuthentic or NotVerified.

        `headers` have lower-case names; `now_s` is in seconds since 1970. An authentic body that
        cannot be read is an arrival too (`rejected: malformed`), for a refusal would only have it
        sent again. Neither the body nor a header may stand in an error or in a log.
        """

    def verify_question(self, headers: Mapping[bytes, bytes], *, now_s: float) -> None:
        """Raise NotAuthentic unless who sends these headers, with an empty body, may ask."""
        del headers, now_s
        raise NotAuthentic("missing")

    def read_submission(self, body: bytes, *, profile_id: UUID, now_s: float) -> Arrival:
        """Return the inbox row of what the client of a profile submits. Raises as `verify` does.

        It runs on a thread. `profile_id` is the subject of the client's access token.
        """
        del body, profile_id, now_s
        raise NotAuthentic("missing")

    @abstractmethod
    def interpret(self, event: ClaimedEvent) -> Fact:
        """Return what an event means for coins.

        Pure: the same event means the same each time, and nothing is looked up. Total: any bytes
        have a meaning, unreadable ones `rejected: malformed`. A Question asks for a call; its
        answer is stored, and then stands in the event.
        """

    def accounts(self) -> Collection[str]:
        """Return the accounts whose events count although they name an account."""
        return ()

    def calls(self) -> Mapping[str, MakeCall]:
        """Return how each kind of call is made, by `<name>.<what>`.

        None without the settings that calls need: then they wait in the outbox.
        """
        return {}

    async def check_account(self) -> None:  # noqa: B027 - not every provider has accounts
        """Raise AccountNotOurs if the key for calls is not of our account, CallFailed if unknown.

        Awaited before each look for calls and into the history, outside any transaction. It asks
        the provider at most once per process.
        """

    def history(self) -> History | None:
        """Return how past events are listed, the same object each time.

        None without the settings that it needs, or if the provider lists none.
        """
        return None

    def checks(self, *, web_origin: str | None) -> Sequence[ProviderCheck]:  # noqa: ARG002
        """Return what `coinfleet doctor` looks at; each is asked at most once.

        `web_origin` is the address at which providers reach `web`, if anybody has said so.
        """
        return ()

    async def close(self) -> None:  # noqa: B027 - one that is never called has nothing open
        """Close the connections that calls opened."""
