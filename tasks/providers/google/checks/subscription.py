"""Whether Google Play's notifications come here: the push subscription, and its topic's policy.

Asks Pub/Sub, and changes nothing there. Which topic an app names, only the Play Console shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from tasks.findings import Finding, attention, broken, not_checked, ok
from tasks.providers.google.access import AccessTokens
from tasks.providers.google.api import GoogleRefused, RightMissing, checked, decoded
from tasks.providers.http import HttpApi

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

SCOPE = "https://www.googleapis.com/auth/pubsub"
REQUESTS_PER_S = 10.0
# Who publishes what happens in Google Play.
PLAY = "serviceAccount:google-play-developer-notifications@system.gserviceaccount.com"
# What lets one publish to a topic.
PUBLISHING = frozenset({"roles/pubsub.publisher", "roles/pubsub.editor", "roles/pubsub.admin"})
DELETED = "_deleted-topic_"
STOPPED = "RESOURCE_ERROR"
RETENTION_MIN_S = 7 * 86_400
READ = "give the service account the role Pub/Sub Viewer on the subscription"
AGAIN = "then `gcloud pubsub subscriptions seek` it back to when it was in order"


class OidcToken(msgspec.Struct):
    """Who signs each push, and for whom."""

    serviceAccountEmail: str = ""  # noqa: N815 - the names are Google's
    audience: str = ""


class PushConfig(msgspec.Struct):
    """Where pushes go; `noWrapper` is there if payloads are unwrapped."""

    pushEndpoint: str = ""  # noqa: N815
    oidcToken: OidcToken | None = None  # noqa: N815
    noWrapper: dict[str, object] | None = None  # noqa: N815


class Subscription(msgspec.Struct):
    """The fields of a subscription that we read."""

    topic: str = ""
    state: str = ""
    detached: bool = False
    pushConfig: PushConfig = msgspec.field(default_factory=PushConfig)  # noqa: N815
    retainAckedMessages: bool = False  # noqa: N815
    messageRetentionDuration: str = ""  # noqa: N815


class Binding(msgspec.Struct):
    """Who has a role."""

    role: str = ""
    members: list[str] = msgspec.field(default_factory=list)


class Policy(msgspec.Struct):
    """Who may do what with a topic."""

    bindings: list[Binding] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionCheck:
    """`name` is projects/…/subscriptions/…; `url` is that of our webhooks, None if nobody said.

    `email` and `audience` are what `web` demands of a push.
    """

    account: Path
    base: str
    name: str
    path: str
    url: str | None
    email: str | None
    audience: str | None

    async def check(self) -> list[Finding]:
        """Say what is wrong with the subscription and its topic. Raises CallFailed."""
        access = AccessTokens(self.account, scope=SCOPE)
        http = HttpApi(self.base, headers={}, requests_per_s=REQUESTS_PER_S)

        async def read(path: str, kind: type[T]) -> T:
            headers = {"Authorization": f"Bearer {await access.get()}"}
            return decoded(checked(await http.send("GET", f"/v1/{path}", headers=headers)), kind)

        try:
            found = await read(self.name, Subscription)
            judged = list(self._judge(found))
            if found.topic != DELETED:
                judged += await _judge_topic(found.topic, read)
        except GoogleRefused as error:
            return [self._refused(error)]
        except RightMissing as error:
            return [not_checked(f"{self.name} may not be read ({error})", fix=READ)]
        finally:
            await http.close()
            await access.close()
        return judged or [ok(f"{self.name} pushes to {found.pushConfig.pushEndpoint}")]

    def _judge(self, found: Subscription) -> Iterator[Finding]:
        push = found.pushConfig
        if found.topic == DELETED or found.detached or found.state == STOPPED:
            yield broken(
                "google_subscription_stopped",
                f"{self.name} gets no message: its topic was deleted, it was detached, or its"
                " pushes fail at Google",
                fix=f"make it anew as in docs/providers.md; {AGAIN}",
            )
        if not push.pushEndpoint:
            yield broken(
                "google_subscription_elsewhere",
                f"{self.name} pushes to no address: its messages wait to be pulled",
                fix=f"have it push to {self.url or 'https://<host>' + self.path}",
            )
        elif not self._leads_here(push.pushEndpoint):
            yield broken(
                "google_subscription_elsewhere",
                f"{self.name} pushes to {_address(push.pushEndpoint)}, and not to"
                f" {self.url or self.path}",
                fix=f"correct it there, or WEB_ORIGIN here; {AGAIN}",
            )
        else:
            yield from self._judge_push(push)
        if not found.retainAckedMessages or _seconds(found) < RETENTION_MIN_S:
            yield attention(
                "google_retention_short",
                f"{self.name} does not keep acknowledged messages for 7 days: what was lost here"
                " can't be had again",
                fix="`gcloud pubsub subscriptions update … --retain-acked-messages"
                " --message-retention-duration=7d`",
            )

    def _judge_push(self, push: PushConfig) -> Iterator[Finding]:
        token = push.oidcToken or OidcToken()
        # Google's default is the address.
        audience = token.audience or push.pushEndpoint
        if None not in (self.email, self.audience) and (
            (token.serviceAccountEmail, audience) != (self.email, self.audience)
        ):
            yield broken(
                "google_subscription_unsigned",
                f"{self.name} does not sign its pushes as GOOGLE_PUSH_EMAIL and"
                " GOOGLE_PUSH_AUDIENCE say: `web` refuses each",
                fix="set the same service account and audience there and here",
            )
        if push.noWrapper is not None:
            yield broken(
                "google_subscription_unwrapped",
                f"{self.name} unwraps payloads: each push is stored and rejected as malformed",
                fix=f"switch payload unwrapping off; {AGAIN}",
            )

    def _leads_here(self, endpoint: str) -> bool:
        if self.url is not None:
            return endpoint.rstrip("/") == self.url
        return urlsplit(endpoint).path.rstrip("/") == self.path

    def _refused(self, error: GoogleRefused) -> Finding:
        if error.status == 404:
            return broken(
                "google_subscription_unknown",
                f"Google knows no {self.name}: nothing tells us of a purchase",
                fix="correct GOOGLE_PUSH_SUBSCRIPTION, or make it as in docs/providers.md",
            )
        return not_checked(f"Google refuses to say ({error})")


async def _judge_topic(
    topic: str, read: Callable[[str, type[Policy]], Awaitable[Policy]]
) -> list[Finding]:
    try:
        policy = await read(f"{topic}:getIamPolicy", Policy)
    except (GoogleRefused, RightMissing) as error:
        fix = "give the service account the role Security Reviewer on the topic"
        return [not_checked(f"who may publish to {topic} can't be read ({error})", fix=fix)]
    may = {
        each
        for binding in policy.bindings
        if binding.role in PUBLISHING
        for each in binding.members
    }
    if may & {PLAY, "allUsers", "allAuthenticatedUsers"}:
        return []
    return [
        attention(
            "google_topic_closed",
            f"the policy of {topic} does not let Google Play publish there; perhaps that of the"
            " project does",
            fix=f"give {PLAY.partition(':')[2]} the role Pub/Sub Publisher on the topic",
        )
    ]


def _address(endpoint: str) -> str:
    """Return an address without its query, which may hold a secret."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def _seconds(found: Subscription) -> float:
    """Return how long messages are kept; Google writes `604800s`."""
    try:
        return float(found.messageRetentionDuration.removesuffix("s"))
    except ValueError:
        return 0.0
