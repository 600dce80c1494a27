"""Whether a push is from Google: the OIDC token that Pub/Sub sends with it (PROVIDERS 2.5 to 2.8).

The signature is only half of the proof. Anybody with a Google account can have a token signed for
any audience, so whose e-mail address it holds counts as much. No token stands in an error or a log.
"""

from __future__ import annotations

import threading
from base64 import b64decode
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from tasks.providers.google.certificates import Certificates
from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.signed import NotAuthentic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

# Google's has about 1 KB.
TOKEN_BYTES_MAX = 4_096
# Clocks of two machines with a time service differ by less.
LEEWAY_S = 10.0
# Pub/Sub sends one token with many pushes, for up to an hour.
TOKENS_MAX = 32
ISSUERS = ("https://accounts.google.com", "accounts.google.com")


class Claims(msgspec.Struct):
    """What counts of a token. Times are in seconds since 1970."""

    iss: str
    aud: str
    email: str
    email_verified: bool
    exp: float
    iat: float


class Header(msgspec.Struct):
    """What counts of a token's header."""

    alg: str
    kid: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


_CLAIMS = msgspec.json.Decoder(Claims)
_HEADER = msgspec.json.Decoder(Header)
# Header, claims and signature.
PARTS = 3


class PushTokens:
    """Checks `Authorization: Bearer <token>` of pushes. May be used by several threads.

    A token is good if it was made for `audience` and names the service account `email`.
    """

    def __init__(self, *, audience: str, email: str, certificates_url: str) -> None:
        self._audience = audience
        self._email = email
        self._certificates = Certificates(certificates_url)
        # By the SHA-256 of the token; the time is when it expires. It signs no body, so that a
        # token that was good before proves the same of another push.
        self._good: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def is_slow(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether `check` would fetch certificates."""
        try:
            token = _read_token(headers)
            if sha256(token).digest() in self._good:
                return False
            return self._certificates.is_fetch_due(_read_kid(token))
        except NotAuthentic:
            return False

    def check(self, headers: Mapping[bytes, bytes], *, now_s: float) -> None:
        """Raise NotAuthentic unless the push has a good token.

        Raises NotVerified if that can't be known for want of certificates.
        """
        token = _read_token(headers)
        if self._is_known(token, now_s):
            return
        key = self._certificates.find(_read_kid(token), now_s=now_s)
        self._keep(token, self._judge(_signed_payload(token, key), now_s))

    def _judge(self, payload: bytes, now_s: float) -> float:
        """Return when a token with these claims expires. Raises NotAuthentic."""
        try:
            claims = _CLAIMS.decode(payload)
        except UNREADABLE_ERRORS:
            raise NotAuthentic("unreadable") from None
        if (
            claims.iss not in ISSUERS
            or claims.aud != self._audience
            or claims.email != self._email
            or not claims.email_verified
        ):
            raise NotAuthentic("no_match")
        if claims.exp + LEEWAY_S <= now_s:
            raise NotAuthentic("stale", late_s=now_s - claims.exp)
        if claims.iat - LEEWAY_S > now_s:
            raise NotAuthentic("stale", late_s=now_s - claims.iat)
        return claims.exp

    def _is_known(self, token: bytes, now_s: float) -> bool:
        digest = sha256(token).digest()
        with self._lock:
            expires_s = self._good.get(digest)
            if expires_s is None:
                return False
            if expires_s + LEEWAY_S <= now_s:
                del self._good[digest]
                return False
            self._good.move_to_end(digest)
            return True

    def _keep(self, token: bytes, expires_s: float) -> None:
        with self._lock:
            self._good[sha256(token).digest()] = expires_s
            if len(self._good) > TOKENS_MAX:
                self._good.popitem(last=False)


def _read_token(headers: Mapping[bytes, bytes]) -> bytes:
    header = headers.get(b"authorization", b"")
    if not header:
        raise NotAuthentic("missing")
    scheme, _, token = header.partition(b" ")
    token = token.strip(b" ")
    if scheme.lower() != b"bearer" or not 0 < len(token) <= TOKEN_BYTES_MAX:
        raise NotAuthentic("unreadable")
    return token


def _read_kid(token: bytes) -> str:
    """Return the id of the key that the token says it was signed with."""
    header, *rest = token.split(b".")
    if len(rest) != PARTS - 1:
        raise NotAuthentic("unreadable")
    try:
        told = _HEADER.decode(_decoded(header))
    except UNREADABLE_ERRORS:
        raise NotAuthentic("unreadable") from None
    # Before its key is looked for: a token of another kind is none of Google's.
    if told.alg != "RS256":
        raise NotAuthentic("no_match")
    return told.kid


def _signed_payload(token: bytes, key: RSAPublicKey) -> bytes:
    """Return the claims of a token that this key has signed, not yet read.

    A JSON Web Token is that little: three parts in base64, the last of which signs the text of the
    others. The tests compare it with Google's library.
    """
    signed, _, signature = token.rpartition(b".")
    try:
        key.verify(_decoded(signature), signed, PKCS1v15(), SHA256())
        return _decoded(signed.partition(b".")[2])
    except (InvalidSignature, *UNREADABLE_ERRORS):
        raise NotAuthentic("no_match") from None


def _decoded(part: bytes) -> bytes:
    return b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
