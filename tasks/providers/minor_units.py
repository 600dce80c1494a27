"""Decimals of a currency's minor unit; the database says the same (fleet.minor_unit_exponent)."""

from __future__ import annotations

_WITHOUT = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()  # noqa: SIM905
)
_OF_THOUSANDTHS = frozenset("bhd iqd jod kwd lyd omr tnd".split())  # noqa: SIM905


def minor_unit_exponent(currency: str) -> int:
    """Return 0, 2 or 3 for a currency in lower case."""
    if currency in _WITHOUT:
        return 0
    return 3 if currency in _OF_THOUSANDTHS else 2
