"""Judges a run: what was sent against what the inbox, the balances and the invariants say of it.

Values only; nothing here asks anybody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from workers.cli.simulate.plan import Balance, Ending
from workers.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from workers.cli.simulate.delivery import Deliveries
    from workers.cli.simulate.plan import Plan

# Enough to look into, few enough to read.
NAMED_MAX = 3


@dataclass(frozen=True)
class Findings:
    """A run and all that was read back of it. `ends` and `balances` hold what was found."""

    plan: Plan
    deliveries: Deliveries
    ends: Mapping[str, Ending]
    balances: Mapping[UUID, Balance]
    invariants: Mapping[str, int]

    @cached_property
    def states(self) -> Counter[str]:
        """How many events of the run are in each state."""
        return Counter(end.state for end in self.ends.values())

    def reasons(self, state: str) -> Counter[str]:
        """Why the events in a state are there; one that was simply applied has no reason."""
        ends = self.ends.values()
        return Counter(end.reason for end in ends if end.state == state and end.reason)

    @cached_property
    def missing(self) -> list[str]:
        """Events that were acknowledged and aren't in the inbox."""
        return sorted(self.deliveries.acknowledged - self.ends.keys())

    @cached_property
    def unacknowledged(self) -> list[str]:
        """Events of which no delivery was acknowledged."""
        return sorted(self.plan.all_events.keys() - self.deliveries.acknowledged)

    @cached_property
    def surprises(self) -> list[str]:
        """Events that came to rest where they may not, each as a phrase."""
        found = []
        for event_id, event in self.plan.all_events.items():
            end = self.ends.get(event_id)
            if (
                end is not None
                and end.state not in ("pending", "dead")
                and end not in event.endings
            ):
                allowed = " or ".join(sorted(map(str, event.endings)))
                found.append(f"{event_id} is {end}, not {allowed}")
        return found

    @cached_property
    def wrong_balances(self) -> list[str]:
        """People who have other coins than were sent them, each as a phrase."""
        applied = {event_id for event_id, end in self.ends.items() if end.state == "applied"}
        return [
            f"{self.plan.people[person]} has {_coins(self.balances.get(person))},"
            f" not {_coins(expected)}"
            for person, expected in self.plan.balances(applied).items()
            if self.balances.get(person) != expected
        ]

    @cached_property
    def breaches(self) -> list[str]:
        """What went wrong, one sentence each; nothing did while this is empty."""
        return [*self._lost(), *self._stuck(), *self._unexplained()]

    def _lost(self) -> Iterator[str]:
        if self.missing:
            yield _sentence(self.missing, "acknowledged and then not in the inbox")
        if self.unacknowledged:
            yield _sentence(self.unacknowledged, "never acknowledged")
        for status, times in sorted(self.deliveries.refused.items()):
            yield f"answered {status}: {counted(times, 'time')}"

    def _stuck(self) -> Iterator[str]:
        for state, said in (("pending", "still pending"), ("dead", "dead")):
            ids = [event_id for event_id, end in self.ends.items() if end.state == state]
            if ids:
                yield _sentence(ids, said)

    def _unexplained(self) -> Iterator[str]:
        if self.surprises:
            yield _sentence(self.surprises, "not where it should be", separator="; ")
        if self.wrong_balances:
            yield _sentence(self.wrong_balances, "wrong", noun="balance", separator="; ")
        for name, rows in self.invariants.items():
            if rows:
                yield f"invariant {name} is broken: {counted(rows, 'row')}"


def _sentence(
    items: Sequence[str], said: str, *, noun: str = "event", separator: str = ", "
) -> str:
    more = separator + "…" if len(items) > NAMED_MAX else ""
    return f"{counted(len(items), noun)} {said}: {separator.join(items[:NAMED_MAX])}{more}"


def _coins(balance: Balance | None) -> str:
    if balance is None:
        return "no profile"
    return f"{balance.coins:,} coins and {balance.earnings:,} earned"
