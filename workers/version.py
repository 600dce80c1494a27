"""The version of the installed package."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def release_version() -> str:
    """Return it; `unknown` if the code runs from a folder and is not installed."""
    try:
        return metadata.version("coinfleet")
    except metadata.PackageNotFoundError:
        return "unknown"
