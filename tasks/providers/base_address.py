"""Addresses at a provider: https, or loopback for a server on this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def check_base_address(text: str) -> str:
    """Return an origin (`https://api.stripe.com`) without a slash at its end.

    Raises ValueError, which never quotes it, for anything else than an origin, and for plain http
    to another machine: a key would be sent in the clear.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
        parts = urlsplit("")
    is_origin = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    if not host or not is_origin or port == 0:
        raise ValueError("must be an origin, as https://api.example.com")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ValueError("must begin with https://; http is for a server on this machine alone")
    return f"{parts.scheme}://{parts.netloc}"


def check_address(text: str) -> str:
    """Return an address with a path; its origin is as above. Raises ValueError."""
    text = text.strip()
    if not text.isprintable() or " " in text or "#" in text:
        raise ValueError("must be an address without blanks, as https://example.com/keys")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("must be an address, as https://example.com/keys") from None
    check_base_address(f"{parts.scheme}://{parts.netloc}")
    return text


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
