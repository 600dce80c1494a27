"""Google's certificates: fetched when they are needed, and kept while they can't be fetched.

Only public keys are asked for, and never on the event loop: whoever finds that a fetch is due is on
a thread. At most one fetch is under way, and one for an unknown key is made once a minute at most.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tasks.providers.calls import CallFailed
from tasks.providers.signed import NotAuthentic, NotVerified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.providers.http import Answer

log = structlog.get_logger(__name__)

# A sender is told 503 after five seconds, see workers/receiving/verification.py.
FETCH_TIMEOUT_S = 4.0
# Certificates are fresh for as long as their Cache-Control says, within these bounds.
FRESH_S_DEFAULT, FRESH_S_MIN, FRESH_S_MAX = 3_600.0, 60.0, 86_400.0
# After a failure pushes are refused for so long, or judged by the certificates that there are.
FAILED_PAUSE_S = 5.0
# Tokens that name an unknown key make us fetch no more often than this.
UNKNOWN_PAUSE_S = 60.0
# Google has two or three in use.
CERTIFICATES_MAX = 32
RSA_BITS_MIN = 2_048

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])")
_SET = msgspec.json.Decoder(dict[str, str])


class Certificate(NamedTuple):
    """The public key of a certificate, and until when it counts, in seconds since 1970."""

    key: RSAPublicKey
    until_s: float


class Certificates:
    """The certificates at `url`, a JSON object of PEM texts by key id.

    Each counts until its own end, whether a newer set can be fetched or not.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        parts = urlsplit(url)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        self._clock = clock
        self._certificates: Mapping[str, Certificate] = {}
        self._fresh_until = float("-inf")
        self._tried_at = float("-inf")
        self._is_failing = False
        self._fetching = threading.Lock()

    def is_fetch_due(self, kid: str) -> bool:
        """Return whether `find` would ask for the certificates."""
        if self._fetching.locked():
            return False
        now = self._clock()
        if kid in self._certificates:
            return now > self._fresh_until and now - self._tried_at > FAILED_PAUSE_S
        pause_s = FAILED_PAUSE_S if self._is_unknown else UNKNOWN_PAUSE_S
        return now - self._tried_at > pause_s

    def find(self, kid: str, *, now_s: float) -> RSAPublicKey:
        """Return the key with this id.

        Fetches if that is due. Raises NotAuthentic for an id that Google does not use, and
        NotVerified if it may use it and the certificates can't be had now.
        """
        if self.is_fetch_due(kid) and self._fetching.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._fetching.release()
        found = self._certificates.get(kid)
        if found is not None and found.until_s > now_s:
            return found.key
        if self._is_unknown or self._fetching.locked():
            raise NotVerified
        raise NotAuthentic("no_match")

    @property
    def _is_unknown(self) -> bool:
        """Whether nobody knows which keys Google uses now."""
        return self._is_failing or not self._certificates

    def _refresh(self) -> None:
        """Replace the certificates. Logs an outage once, and its end."""
        self._tried_at = self._clock()
        try:
            answer = asyncio.run(self._fetch())
            self._certificates = _read_certificates(answer)
        except CallFailed as error:
            if not self._is_failing:
                log.warning(
                    "certificates_unreachable",
                    at=self._base,
                    reason=str(error),
                    then="those that are known count on; other pushes are answered 503",
                )
            self._is_failing = True
            return
        if self._is_failing:
            log.info("certificates_back", at=self._base)
        self._is_failing = False
        fresh_s = _fresh_s(answer.headers.get("cache-control", ""))
        self._fresh_until = self._clock() + fresh_s

    async def _fetch(self) -> Answer:
        """Return the answer. A loop and a connection of their own: it happens a few times a day."""
        # Here, because `web` needs an HTTP client for nothing else.
        from tasks.providers.http import HttpApi  # noqa: PLC0415

        api = HttpApi(self._base, headers={}, requests_per_s=1, timeout_s=FETCH_TIMEOUT_S)
        try:
            return await api.send("GET", self._path)
        finally:
            await api.close()


def _read_certificates(answer: Answer) -> dict[str, Certificate]:
    """Return the certificates that may verify a token. Raises CallFailed if there is none."""
    if answer.status != 200:
        raise CallFailed(f"answered {answer.status}")
    try:
        told = _SET.decode(answer.body)
    except (ValueError, RecursionError):
        raise CallFailed("the answer is no set of certificates") from None
    found = {kid: read_certificate(pem) for kid, pem in [*told.items()][:CERTIFICATES_MAX]}
    usable = {kid: each for kid, each in found.items() if each is not None}
    if not usable:
        raise CallFailed("the answer holds no certificate")
    return usable


def read_certificate(pem: str) -> Certificate | None:
    """Return a certificate; None for one that can't verify a token."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key = certificate.public_key()
    # Whatever is wrong with one certificate, the others count.
    except Exception:  # noqa: BLE001
        return None
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_BITS_MIN:
        return None
    return Certificate(key, certificate.not_valid_after_utc.timestamp())


def _fresh_s(cache_control: str) -> float:
    found = _MAX_AGE.search(cache_control.lower())
    told_s = float(found[1]) if found else FRESH_S_DEFAULT
    return min(max(told_s, FRESH_S_MIN), FRESH_S_MAX)
