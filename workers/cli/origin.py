"""Where a command was typed: the account and the machine, kept with what it did."""

from __future__ import annotations

import socket

from workers.cli.erase import account


def origin() -> str:
    """Return the account's name, or its number, and the machine's name: ann@db1."""
    return f"{account()}@{socket.gethostname() or 'unknown'}"
