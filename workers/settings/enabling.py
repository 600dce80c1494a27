"""Which providers' events are taken: those that are named, or those whose settings are complete.

Knows no provider by name, and reads no environment. A fault names settings and never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Needs:
    """What one provider needs in order to be taken."""

    provider: str
    settings: tuple[str, ...]
    """Without one of these none of its events can be verified."""
    keys: tuple[str, ...] = ()
    """Further settings that nobody sets unless the provider is wanted."""


def find_enabled(
    needs: Sequence[Needs], wanted: Collection[str], is_set: Callable[[str], bool]
) -> list[str]:
    """Return the providers whose events are taken; with nothing wanted, all that are complete."""
    return [
        each.provider
        for each in needs
        if (not wanted or each.provider in wanted)
        and each.settings
        and all(map(is_set, each.settings))
    ]


def find_enabling_faults(
    needs: Sequence[Needs], wanted: Collection[str], is_set: Callable[[str], bool]
) -> list[str]:
    """Return what is missing: of the providers that are wanted, else of those that are half set."""
    if wanted:
        return [
            f"{name} is missing: PROVIDERS_ENABLED names {each.provider}"
            for each in needs
            if each.provider in wanted
            for name in each.settings
            if not is_set(name)
        ]
    faults = [fault for each in needs for fault in _half_set(each, is_set)]
    if not faults and not find_enabled(needs, wanted, is_set):
        ways = ", or ".join(" and ".join(each.settings) for each in needs)
        return [f"no provider has its settings: set {ways}"]
    return faults


def _half_set(needs: Needs, is_set: Callable[[str], bool]) -> Iterator[str]:
    told = [name for name in (*needs.settings, *needs.keys) if is_set(name)]
    if told:
        for name in needs.settings:
            if not is_set(name):
                yield f"{name} is missing: {needs.provider} needs it, and {told[0]} is set"
