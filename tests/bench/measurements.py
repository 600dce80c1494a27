"""How two ways of doing the same work are compared: interleaved pairs, and the median of each.

What else the machine does affects both sides of a pair alike, so only ratios within a run count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TIMES = "\N{MULTIPLICATION SIGN}"
Sample: TypeAlias = "Callable[[], Awaitable[float]]"


@dataclass(frozen=True, slots=True)
class Budget:
    """A bound for a ratio or a time: at least, or at most, `bound`."""

    bound: float
    at_most: bool = False
    unit: str = TIMES

    def is_met(self, value: float) -> bool:
        """Return whether a measured value is within the budget."""
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}{_spaced(self.unit)}"


@dataclass(slots=True)
class Pairs:
    """The samples of both sides, in the order in which they were taken."""

    ours: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """Ours over the reference, pair by pair."""
        return [ours / other for ours, other in zip(self.ours, self.reference, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: a value with its budget, and what was measured on both sides."""

    number: int
    what: str
    value: float
    budget: Budget
    ours: str = ""
    reference: str = ""
    spread: tuple[float, float] | None = None

    @classmethod
    def of_ratio(cls, number: int, what: str, pairs: Pairs, *, budget: Budget, unit: str) -> Row:
        """Return the row of a ratio, with the medians of both sides."""
        return cls(
            number,
            what,
            pairs.ratio,
            budget,
            f"{median(pairs.ours):,.0f}{_spaced(unit)}",
            f"{median(pairs.reference):,.0f}{_spaced(unit)}",
            (min(pairs.ratios), max(pairs.ratios)),
        )

    @property
    def is_met(self) -> bool:
        """Whether the budget is met."""
        return self.budget.is_met(self.value)

    @property
    def measured(self) -> str:
        """The value with its unit and, of several pairs, the lowest and the highest."""
        text = f"{self.value:.2f}{_spaced(self.budget.unit)}"
        if self.spread is None:
            return text
        return f"{text} ({self.spread[0]:.2f} to {self.spread[1]:.2f})"


async def interleave(ours: Sample, reference: Sample, *, pairs: int) -> Pairs:
    """Sample both sides in turn; each side is first in half of the pairs."""
    taken = Pairs()
    sides = [(ours, taken.ours), (reference, taken.reference)]
    for number in range(pairs):
        for sample, values in sides if number % 2 == 0 else reversed(sides):
            values.append(await sample())
    return taken


def _spaced(unit: str) -> str:
    return unit if unit in (TIMES, "/s") else f" {unit}"
