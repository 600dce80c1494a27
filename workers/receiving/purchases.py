"""The endpoint of POST /purchases/{provider}: a signed-in client submits a purchase of its own.

It goes the way of a webhook: verified, stored in the inbox, and only then acknowledged. What it
means is decided there, where the store's own notification arrives too. Has no rule about money, and
never logs a token or a body. Sends no CORS headers: an app on a phone needs none, and no web page
sells through a store.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from db.inbox.arrivals import Stored
from tasks.providers.signed import NotAuthentic, NotVerified
from tasks.sign_in.refusals import KeysUnavailable, NotSignedIn
from workers.receiving.allowance import Allowance
from workers.receiving.answers import (
    NOT_AUTHENTIC,
    NOT_SIGNED_IN,
    NOT_STORED,
    SIGN_IN_UNKNOWN,
    SUBMITTED,
    SUBMITTED_BEFORE,
    UNKNOWN_PROVIDER,
    too_often,
)
from workers.receiving.intake import NotStored
from workers.receiving.receiver import take_body
from workers.serving.answer import Answer
from workers.serving.body import HungUp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from starlette.types import Receive, Scope, Send

    from tasks.providers.provider import Provider
    from tasks.sign_in.tokens import AccessTokens
    from workers.receiving.intake import Intake
    from workers.receiving.verification import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Submissions:
    """What taking purchases from clients uses; `providers` are those that take them, by name."""

    providers: Mapping[str, Provider]
    tokens: AccessTokens
    verification: Verification
    intake: Intake
    note_submitted: Callable[[str, Answer], None]
    allowance: Allowance = field(default_factory=Allowance)
    clock: Callable[[], float] = time.time

    async def take(self, provider: Provider, scope: Scope, receive: Receive) -> Answer:
        """Read one request; return its answer. Raises HungUp if its sender is gone."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await take_body(headers, receive)
        if isinstance(body, Answer):
            return body
        try:
            profile_id = await self.tokens.read_subject(headers, now_s=self.clock())
        except NotSignedIn as refused:
            return NOT_SIGNED_IN[refused.cause]
        except KeysUnavailable:
            return SIGN_IN_UNKNOWN
        # Before the body is verified, because that takes the most time.
        if (retry_after_s := self.allowance.take(profile_id)) is not None:
            return too_often(retry_after_s)
        return await self._store(provider, body, profile_id)

    async def _store(self, provider: Provider, body: bytes, profile_id: UUID) -> Answer:
        read = partial(provider.read_submission, body, profile_id=profile_id, now_s=self.clock())
        try:
            stored = await self.intake.put(await self.verification.run(read))
        except NotAuthentic as refused:
            return NOT_AUTHENTIC[refused.cause]
        except (NotStored, NotVerified):
            return NOT_STORED
        return SUBMITTED if stored is Stored.STORED else SUBMITTED_BEFORE


class PurchaseEndpoint:
    """The ASGI application of the route; uses the Submissions of the process, if it has any."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        submissions: Submissions | None = scope["state"]["submissions"]
        known = {} if submissions is None else submissions.providers
        provider = known.get(scope["path_params"]["provider"])
        if submissions is None or provider is None:
            await UNKNOWN_PROVIDER.send(send)
            return
        try:
            answer = await submissions.take(provider, scope, receive)
        except HungUp:
            return
        submissions.note_submitted(provider.name, answer)
        await answer.send(send)
