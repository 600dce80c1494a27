"""Apple as a provider: its settings, and which of its modules does what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tasks.providers.apple.interpret import CLIENT_PURCHASE, interpret
from tasks.providers.apple.jws import decode
from tasks.providers.apple.objects import Notification, StoredSubmission, Submission
from tasks.providers.provider import Provider
from tasks.providers.signed import NotAuthentic, arrival

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from db.facts import Fact
    from db.inbox.arrivals import Arrival
    from db.inbox.batches import ClaimedEvent
    from tasks.providers.apple.api import AppStoreApi
    from tasks.providers.apple.history import AppleHistory
    from tasks.providers.apple.verify import Verifier
    from tasks.providers.calls import MakeCall
    from tasks.providers.examination import ProviderCheck
    from tasks.providers.history import History

API_BASE = "https://api.storekit.apple.com"
SANDBOX_API_BASE = "https://api.storekit-sandbox.apple.com"

_NOTIFICATION = msgspec.json.Decoder(Notification)
_SUBMISSION = msgspec.json.Decoder(Submission)


class Apple(Provider):
    """Purchases in Apple's App Store, of its sandbox too.

    `apps` are our apps: Apple's numeric id of each by its bundle id. `root_certificates` (DER) are
    those in which a chain must end. Without both nothing is authentic. With a key of Apple's API
    (`private_key_file` is its content) the history of notifications is read, and, if customers
    have agreed to it, Apple's questions about their purchases are answered.
    """

    name = "apple"
    # Apple may sign a notification anew when it sends it again.
    body_is_fixed = False
    takes_submissions = True

    def __init__(
        self,
        *,
        apps: Mapping[str, int] | None = None,
        root_certificates: Sequence[bytes] = (),
        issuer_id: str | None = None,
        key_id: str | None = None,
        private_key_file: str | None = None,
        api_base: str = API_BASE,
        sandbox_api_base: str = SANDBOX_API_BASE,
        customers_consented: bool = False,
    ) -> None:
        self._verifier = (
            _make_verifier(apps, root_certificates) if apps and root_certificates else None
        )
        self._bundle_ids, self._roots = tuple(apps or ()), tuple(root_certificates)
        self._api: AppStoreApi | None = None
        self._history: AppleHistory | None = None
        self._calls: Mapping[str, MakeCall] = {}
        if apps and root_certificates and issuer_id and key_id and private_key_file:
            # Here, because a process that has no key needs no HTTP client.
            from tasks.providers.apple.api import AppStoreApi  # noqa: PLC0415
            from tasks.providers.apple.calls import calls_of  # noqa: PLC0415
            from tasks.providers.apple.history import AppleHistory  # noqa: PLC0415

            self._api = AppStoreApi(
                issuer_id=issuer_id,
                key_id=key_id,
                private_key=private_key_file,
                base=api_base,
                sandbox_base=sandbox_api_base,
            )
            self._history = AppleHistory(
                bundle_ids=tuple(apps),
                api=self._api,
                verify=lambda body, now_s: self.verify(body, {}, now_s=now_s),
            )
            self._calls = calls_of(self._api) if customers_consented else {}

    def is_slow(self, body: bytes, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether certificates must be proved first, which takes 15 ms."""
        del headers
        try:
            return self._verifier is not None and not self._verifier.is_known(_signed(body))
        except NotAuthentic:
            return False

    def verify(self, body: bytes, headers: Mapping[bytes, bytes], *, now_s: float) -> Arrival:
        """Return the inbox row of a notification of one of our apps that Apple has signed."""
        del headers
        told = self._known_verifier().check_notification(_signed(body), now_s=now_s)
        return notification_arrival(
            told.notificationUUID, told.notificationType, told.subtype, body
        )

    def read_submission(self, body: bytes, *, profile_id: UUID, now_s: float) -> Arrival:
        """Return the inbox row of a transaction of one of our apps that Apple has signed."""
        submission = decode(body, _SUBMISSION)
        transaction = self._known_verifier().check_transaction(
            submission.signed_transaction, now_s=now_s
        )
        transaction_id = transaction.transactionId
        return arrival(
            self.name,
            event_id=f"client:{profile_id}:{transaction_id}"
            if isinstance(transaction_id, str) and transaction_id
            else "",
            event_type=CLIENT_PURCHASE,
            body=msgspec.json.encode(StoredSubmission(str(profile_id), submission)),
        )

    def interpret(self, event: ClaimedEvent) -> Fact:
        """Return what a notification or a client's submission means."""
        return interpret(event)

    def calls(self) -> Mapping[str, MakeCall]:
        """Return answers about purchases; none without the customers' consent."""
        return self._calls

    def history(self) -> History | None:
        """Return the history of notifications."""
        return self._history

    def checks(self, *, web_origin: str | None) -> Sequence[ProviderCheck]:
        """Return checks of the root, and of the way of a test notification."""
        del web_origin
        # Here, because the HTTP client takes long to import.
        from tasks.providers.apple.checks import AppleChecks  # noqa: PLC0415

        return AppleChecks(bundle_ids=self._bundle_ids, roots=self._roots, api=self._api).rows()

    async def close(self) -> None:
        """Close the connections."""
        if self._api:
            await self._api.close()

    def _known_verifier(self) -> Verifier:
        if self._verifier is None:
            raise NotAuthentic("no_match")
        return self._verifier


def notification_arrival(event_id: Any, told_type: Any, subtype: Any, body: bytes) -> Arrival:
    """Return the inbox row of a notification; its type is `REFUND`, or `TYPE.SUBTYPE`."""
    parts = [told_type] if subtype is None else [told_type, subtype]
    is_text = isinstance(event_id, str) and all(isinstance(part, str) for part in parts)
    return arrival(
        Apple.name,
        event_id=event_id if is_text else "",
        event_type=".".join(parts) if is_text else "",
        body=body,
    )


def _signed(body: bytes) -> str:
    """Return the signed object of a webhook's body. Raises NotAuthentic."""
    return decode(body, _NOTIFICATION).signedPayload


def _make_verifier(apps: Mapping[str, int], roots: Sequence[bytes]) -> Verifier:
    # Here, because certificates take long to import, and a process without Apple needs none.
    from tasks.providers.apple.signers import KnownSigners  # noqa: PLC0415
    from tasks.providers.apple.verify import Verifier  # noqa: PLC0415

    return Verifier(apps=apps, roots=roots, signers=KnownSigners(roots=roots))
