"""The signers that are known: how many are remembered, and which is forgotten."""

from __future__ import annotations

from tasks.providers.apple.jws import HEADER, decode, part_bytes, take_apart
from tasks.providers.apple.signers import HEADERS_MAX, PROOFS_PER_S, KnownSigners
from tests.tasks.providers.apple.apps import chain, leaf


def test_at_most_32_headers_are_remembered() -> None:
    clock = iter(range(10_000))
    known = KnownSigners(roots=[chain().root], clock=lambda: next(clock) * 1.0 / PROOFS_PER_S)
    header = decode(part_bytes(take_apart(leaf().sign({})).header), HEADER)
    for no in range(HEADERS_MAX + 1):
        known.learn(f"header {no}", header, lambda: None)
        known.find("header 0")
    assert [no for no in range(HEADERS_MAX + 1) if known.find(f"header {no}") is None] == [1]
