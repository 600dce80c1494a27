"""Judges a run: compares what was sent with the inbox, the balances and the invariants.

Values only: nothing here asks the database.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from workers.cli.simulate.heard import find_untold
from workers.cli.simulate.plan import Balance, Outcome
from workers.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from workers.cli.simulate.delivery import Deliveries
    from workers.cli.simulate.heard import Message
    from workers.cli.simulate.plan import Plan

# Enough to look into, few enough to read.
NAMED_MAX = 3


@dataclass(frozen=True)
class Findings:
    """A run and all that was read back after it: where its events ended, and who has how much."""

    plan: Plan
    deliveries: Deliveries
    outcomes: Mapping[str, Outcome]
    balances: Mapping[UUID, Balance]
    invariants: Mapping[str, int]
    heard: Sequence[Message] | None = None
    """What the app was told of the run; None if it is told nothing."""

    @cached_property
    def states(self) -> Counter[str]:
        """How many events of the run are in each state."""
        return Counter(outcome.state for outcome in self.outcomes.values())

    def reasons(self, state: str) -> Counter[str]:
        """Count the events in a state by reason; one that was simply applied has none."""
        found = self.outcomes.values()
        return Counter(each.reason for each in found if each.state == state and each.reason)

    @cached_property
    def missing(self) -> list[str]:
        """The ids of events that were acknowledged and aren't in the inbox."""
        return sorted(self.deliveries.acknowledged - self.outcomes.keys())

    @cached_property
    def unacknowledged(self) -> list[str]:
        """The ids of events of which no delivery was acknowledged."""
        return sorted(self.plan.all_events.keys() - self.deliveries.acknowledged)

    @cached_property
    def unexpected(self) -> list[str]:
        """The events that ended otherwise than planned, each as a phrase."""
        found = []
        for event_id, event in self.plan.all_events.items():
            outcome = self.outcomes.get(event_id)
            if (
                outcome is not None
                and outcome.state not in ("pending", "dead")
                and outcome not in event.outcomes
            ):
                allowed = " or ".join(sorted(map(str, event.outcomes)))
                found.append(f"{event_id} is {outcome}, not {allowed}")
        return found

    @cached_property
    def wrong_balances(self) -> list[str]:
        """The people who have more or fewer coins than planned, each as a phrase."""
        applied = {key for key, outcome in self.outcomes.items() if outcome.state == "applied"}
        return [
            f"{self.plan.people[person]} has {_coins(self.balances.get(person))},"
            f" not {_coins(expected)}"
            for person, expected in self.plan.balances(applied).items()
            if self.balances.get(person) != expected
        ]

    @cached_property
    def breaches(self) -> list[str]:
        """What went wrong, one sentence each; empty if all is well."""
        return [*self._lost(), *self._stuck(), *self._wrong()]

    def _lost(self) -> Iterator[str]:
        if self.missing:
            yield _sentence(self.missing, "acknowledged and then not in the inbox")
        if self.unacknowledged:
            yield _sentence(self.unacknowledged, "never acknowledged")
        for status, times in sorted(self.deliveries.refused.items()):
            yield f"answered {status}: {counted(times, 'time')}"

    def _stuck(self) -> Iterator[str]:
        for state, said in (("pending", "still pending"), ("dead", "dead")):
            ids = [key for key, outcome in self.outcomes.items() if outcome.state == state]
            if ids:
                yield _sentence(ids, said)

    def _wrong(self) -> Iterator[str]:
        if self.unexpected:
            yield _sentence(self.unexpected, "ended otherwise than planned", separator="; ")
        if self.wrong_balances:
            yield _sentence(self.wrong_balances, "wrong", noun="balance", separator="; ")
        for status, times in sorted(self.deliveries.misjudged.items()):
            yield f"garbage answered {status}: {counted(times, 'time')}"
        if self.heard is not None:
            yield from find_untold(
                self.plan, self.heard, outcomes=self.outcomes, balances=self.balances
            )
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
