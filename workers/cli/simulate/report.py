"""Shows on a terminal what became of a run: its events, the books, the verdict."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from workers.cli.simulate.findings import Findings

STATES = ("applied", "ignored", "held", "waiting", "rejected", "pending", "dead")
# Shown only when there are some: a run is over when nothing is pending.
UNUSUAL = ("pending",)
ALARMING = ("pending", "dead")


@dataclass(slots=True)
class Stopwatch:
    """How long the parts of a run took, in seconds."""

    delivering_s: float = 0.0
    settling_s: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        now = time.monotonic()
        elapsed, self._last = now - self._last, now
        return elapsed


def show(console: Console, findings: Findings, watch: Stopwatch, *, is_brief: bool = False) -> None:
    """Print what became of the run's events, then of the books, then the verdict.

    A brief report counts the proofs of the books instead of naming each.
    """
    deliveries = findings.deliveries
    rate = deliveries.ended / watch.delivering_s if watch.delivering_s else 0
    retried = f", {deliveries.retried:,} tries failed" if deliveries.retried else ""
    console.print(
        f"{deliveries.ended:,} deliveries in {watch.delivering_s:.1f} s ({rate:,.0f}/s{retried}),"
        f" settled {watch.settling_s:.1f} s later",
        highlight=False,
    )
    console.print()
    console.print(_events(findings))
    console.print()
    if is_brief:
        broken = sum(1 for rows in findings.invariants.values() if rows)
        proofs = f"{len(findings.invariants)} proofs of the books, {broken or 'none'} broken"
        console.print(proofs, highlight=False)
    else:
        console.print(_books(findings))
    console.print()
    for line in _verdict(findings):
        console.print(line, soft_wrap=True)


def show_next_steps(console: Console, held: Sequence[tuple[int, str]], *, is_heard: bool) -> None:
    """Print what a person may decide next: `held` are purchases as (id, provider)."""
    console.print()
    console.print(f"{len(held)} purchases wait for you:", highlight=False)
    for (purchase, provider), verb in zip(held, ("approve", "reject"), strict=False):
        command = f"coinfleet purchases {verb} {purchase} --reason 'as the tour says'"
        console.print(f"  {command}    # {provider}", highlight=False, soft_wrap=True)
    if is_heard:
        line = "The first terminal shows the refund travel, and what the app hears of each."
        console.print(line, highlight=False)


def _events(findings: Findings) -> Table:
    table = _table("Events", "", "", name_width=12)
    _row(table, "sent", len(findings.plan))
    _row(table, "acknowledged", len(findings.deliveries.acknowledged))
    for state in STATES:
        events = findings.states[state]
        if events or state not in UNUSUAL:
            reasons = findings.reasons(state).most_common()
            said = ", ".join(f"{n:,} {reason}" if n > 1 else reason for reason, n in reasons)
            _row(table, state, events, said, alarming=state in ALARMING)
    _row(table, "missing", len(findings.missing), alarming=True)
    if garbage := findings.deliveries.garbage:
        _row(table, "garbage", garbage, "refused, or kept as malformed")
    if findings.heard is not None:
        kinds = Counter(message.type for message in findings.heard).most_common()
        said = ", ".join(f"{n:,} {kind}" for kind, n in kinds)
        _row(table, "told the app", len(findings.heard), said)
    return table


def _books(findings: Findings) -> Table:
    table = _table("Books", "broken", "", name_width=32)
    for name, rows in findings.invariants.items():
        _row(table, name, rows, alarming=True)
    coins = sum(balance.coins for balance in findings.balances.values())
    earned = sum(balance.earnings for balance in findings.balances.values())
    said = f"{len(findings.plan.people):,} people, {coins:,} coins, {earned:,} earned"
    _row(table, "balances_match_what_was_sent", len(findings.wrong_balances), said, alarming=True)
    return table


def _verdict(findings: Findings) -> Iterator[Text]:
    for breach in findings.breaches:
        yield Text(f"✗ {breach}", style="red")
    if not findings.breaches:
        yield Text("✓ Each event has one outcome, and every coin is accounted for.", style="green")


def _table(*headers: str, name_width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(headers[0], min_width=name_width, no_wrap=True)
    table.add_column(headers[1], justify="right", min_width=7)
    table.add_column(headers[2], style="dim")
    return table


def _row(table: Table, name: str, number: int, said: str = "", *, alarming: bool = False) -> None:
    table.add_row(name, f"{number:,}", said, style="red" if alarming and number else None)
