"""A stored error is shown with its cause, and without the values that it quotes."""

from __future__ import annotations

import pytest

from db.errors.stored_errors import kind_of, without_values


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        ('22P02: invalid input syntax for type inet: "300.1.1.1"', "22P02",
         "invalid input syntax for type inet: …"),
        ('23505: duplicate key value violates unique constraint "one_row_an_event"', "23505",
         'duplicate key value violates unique constraint "one_row_an_event"'),
        ("22003: bigint out of range", "22003", "bigint out of range"),
        ("53100: could not extend file: No space left on device", "53100",
         "could not extend file: No space left on device"),
        ("P0001: buyer 'Ada' paid 1234567", "P0001", "buyer … paid …"),
        ("CF008: the key belongs to 00000000-0000-4000-8000-000000000001", "CF008",
         "the key belongs to …"),
        ("KeyError: 'ada@example.org'", "KeyError", "…"),
        ("ValueError: invalid literal for int() with base 10: 'Ada'", "ValueError",
         "invalid literal for int() with base 10: …"),
        ("TimeoutError", "TimeoutError", ""),
        ("msgspec.ValidationError: Expected `int`, got `str`\nmore", "msgspec.ValidationError",
         "Expected `int`, got `str`"),
        ("three workers died while they held this event", "unknown",
         "three workers died while they held this event"),
        ("", "unknown", ""),
    ],
)  # fmt: skip
def test_an_error_is_its_kind_and_a_message_without_values(
    error: str, kind: str, told: str
) -> None:
    assert (kind_of(error), without_values(error)) == (kind, told)
