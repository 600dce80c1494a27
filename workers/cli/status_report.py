"""Shows how the fleet is on a terminal: first what needs a person, then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from workers.cli.status_health import STATES
from workers.cli.words import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rich.console import Console

    from workers.cli.status_health import FleetHealth, Parked


def show(console: Console, health: FleetHealth) -> None:
    """Print it all."""
    for line in _verdict(health):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(_events(health))
    for title, parked in (("held", health.held), ("dead", health.dead)):
        if parked.newest:
            console.print()
            console.print(_parked(title, parked, now=health.checked_at))
    console.print()
    console.print(_schedules(health))
    console.print()
    console.print(_rest(health))


def _verdict(health: FleetHealth) -> Iterator[Text]:
    for line in health.attention:
        yield Text(f"✗ {line}", style="red")
    if health.healthy:
        yield Text("✓ healthy", style="green")


def _events(health: FleetHealth) -> Table:
    table = _table("Events", *health.events_by_provider, "total")
    for state in STATES:
        counts = [events[state] for events in health.events_by_provider.values()]
        total = health.events[state]
        row = [f"{count:,}" for count in (*counts, total)]
        table.add_row(state, *row, style="red" if state == "dead" and total else None)
    return table


def _parked(title: str, parked: Parked, *, now: datetime) -> Table:
    table = _table(f"Newest {title}", "id", "received")
    table.add_column("event", no_wrap=True, max_width=40)
    for event in parked.newest:
        table.add_row(
            event.reason,
            str(event.id),
            _ago(event.received_at, now),
            f"{event.provider} {event.provider_event_id}",
        )
    return table


def _schedules(health: FleetHealth) -> Table:
    table = _table("Schedules", "every", "last done", "missed", "failed")
    for job in health.schedules:
        table.add_row(
            job.job,
            duration(job.every_s),
            _ago(job.last_done_at, health.checked_at),
            f"{job.missed:,}",
            f"{job.failed:,}",
            style="red" if job.overdue else None,
        )
    return table


def _rest(health: FleetHealth) -> Table:
    now, drift, queue = health.checked_at, health.drift, health.queue
    table = Table.grid(padding=(0, 2))
    oldest = health.oldest_pending_s
    table.add_row("oldest pending", "none" if oldest is None else duration(oldest))
    proved = f"new entries {_ago(drift.last_new_at, now)}, all {_ago(drift.last_full_at, now)}"
    table.add_row("drift", f"{counted(drift.violations, 'violation')}; proved {proved}")
    for worker in health.workers:
        if worker.is_alive:
            since = duration((now - worker.started_at).total_seconds())
            table.add_row(
                "worker", f"{worker.worker}: {counted(worker.events, 'event')} in {since}"
            )
    reachable = {
        True: f"reachable, {counted(queue.waiting or 0, 'message')}",
        False: "unreachable",
        None: "unknown",
    }
    table.add_row("queue", reachable[queue.reachable])
    table.add_row("schema", "current" if health.schema_current else "not this release's")
    return table


def _ago(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else f"{duration((now - moment).total_seconds())} ago"


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, min_width=17, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right", min_width=8, no_wrap=True)
    return table
