"""Addresses that we call, a provider's API or the app: https, or loopback on this machine."""

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
    """Return an address with or without path and query (`https://app.example.com/events`).

    Raises ValueError, which never quotes it, for one that `check_base_address` would not take
    without them, and for one with a blank, a fragment or a character that is not ASCII.
    """
    if not text.isascii() or not text.isprintable() or " " in text or "#" in text:
        raise ValueError("must be an address without blanks, # or letters beyond ASCII")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("must be an address, as https://app.example.com/events") from None
    check_base_address(f"{parts.scheme}://{parts.netloc}")
    return text


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
