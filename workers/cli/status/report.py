"""Shows the fleet's health on a terminal: the verdict, what needs a person, then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.providers import PROVIDERS
from workers.cli.status.health import STATES
from workers.cli.terminal import print_lines, print_rows, width_of, wrapped
from workers.cli.words import ago, counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rich.console import Console

    from db.health.vital_signs import Frozen
    from db.health.webs import WebStatus
    from workers.cli.status.health import FleetHealth, Parked
    from workers.cli.status.jobs import Job


def show(console: Console, health: FleetHealth) -> None:
    """Print it all."""
    _show_verdict(console, health)
    _show_events(console, health)
    for title, parked in (("Held", health.held), ("Dead", health.dead)):
        if parked.oldest:
            _show_parked(console, title, parked, now=health.checked_at)
    _show_schedules(console, health)
    console.print()
    width = width_of(console)
    for line in _rest(health):
        print_lines(console, wrapped(line, width=width, indent="  "))


def _show_verdict(console: Console, health: FleetHealth) -> None:
    width = width_of(console)
    if health.healthy:
        print_lines(console, ["✓ healthy"], style="green")
    else:
        things = counted(len(health.attention), "thing")
        needs = "needs" if len(health.attention) == 1 else "need"
        print_lines(console, [f"✗ {things} {needs} a person"], style="bold red")
        for line in health.attention:
            print_lines(console, wrapped(f"- {line}", width=width, indent="  "), style="red")
    for held in health.held_by_reason:
        line = f"held ({held.reason}): {counted(held.events, 'payment')}"
        if any(each.startswith(line) for each in health.attention):
            continue
        age = ago((health.checked_at - held.oldest_at).total_seconds())
        print_lines(console, wrapped(f"{line}, the oldest {age}", width=width, indent="  "))
    console.print()


def _show_events(console: Console, health: FleetHealth) -> None:
    rows = []
    for state in STATES:
        counts = [events[state] for events in health.events_by_provider.values()]
        total = health.events[state]
        row = [state, *(f"{count:,}" for count in (*counts, total))]
        rows.append((row, "red" if state == "dead" and total else ""))
    print_rows(console, ["Events", *health.events_by_provider, "total"], rows)


def _show_parked(console: Console, title: str, parked: Parked, *, now: datetime) -> None:
    """Show the oldest, each on lines of its own, so that its ids can be copied whole."""
    console.print()
    shown = min(parked.count, len(parked.oldest))
    more = f" {shown} of {parked.count:,}" if parked.count > shown else ""
    print_lines(console, [f"{title}, the oldest{more} first"], style="bold")
    width = width_of(console)
    for event in parked.oldest:
        age = ago((now - event.received_at).total_seconds())
        line = f"id {event.id}  {event.reason}  received {age}"
        print_lines(console, wrapped(line, width=width, indent="  "))
        line = f"  {event.provider} {event.provider_event_id} {event.event_type}"
        print_lines(console, wrapped(line, width=width, indent="  "))
        if event.last_error:
            print_lines(console, wrapped(f"  {event.last_error}", width=width, indent="  "))


def _show_schedules(console: Console, health: FleetHealth) -> None:
    console.print()
    rows = [
        (
            [
                job.job,
                duration(job.every_s),
                _last_done(job, health.checked_at),
                f"{job.missed:,}",
                f"{job.failed:,}",
            ],
            "red" if job.overdue or job.outcome == "failed" else "",
        )
        for job in health.schedules
    ]
    print_rows(console, ["Schedules", "every", "last done", "missed", "failed"], rows)


def _last_done(job: Job, now: datetime) -> str:
    done = _ago(job.last_done_at, now)
    return f"{done}, paused" if job.paused else done


def _rest(health: FleetHealth) -> Iterator[str]:
    now, drift, queue = health.checked_at, health.drift, health.queue
    oldest = health.oldest_pending_s
    yield f"oldest pending: {'none' if oldest is None else ago(oldest)}"
    yield _frozen(health.frozen)
    for calls in health.calls:
        error = f" ({calls.last_error})" if calls.last_error else ""
        oldest_call = f"the oldest {ago(calls.oldest_s)}{error}"
        yield f"calls: {calls.calls:,} {calls.kind} {calls.state}, {oldest_call}"
    for history in health.histories:
        reached = "never" if history.reached_s is None else f"up to {ago(history.reached_s)}"
        missed = counted(history.missed, "missed event")
        yield f"history of {history.provider}: read {reached}; {missed} found"
    new, full = _ago(drift.last_new_at, now), _ago(drift.last_full_at, now)
    violations = counted(drift.violations, "violation")
    yield f"drift: {violations}; new entries proved {new}, all entries {full}"
    for worker in health.workers:
        if worker.is_alive:
            since = duration((now - worker.started_at).total_seconds())
            yield f"worker {worker.worker}: {counted(worker.events, 'event')} in {since}"
    for web in health.webs:
        if web.is_alive:
            yield describe_web(web, now)
    reachable = {
        True: f"reachable, {counted(queue.waiting or 0, 'message')}",
        False: "unreachable",
        None: "unknown",
    }
    refuses = ", refuses writes" if queue.refusal else ""
    yield f"queue: {reachable[queue.reachable]}{refuses}"
    yield f"schema: {'current' if health.schema_current else 'of another release'}"


def _frozen(frozen: Frozen) -> str:
    """Return a line: how many coins nobody can spend while their payments are looked into."""
    if not frozen.purchases:
        return "frozen: none"
    purchases, coins = counted(frozen.purchases, "purchase"), counted(frozen.coins, "coin")
    freezes = counted(frozen.freezes, "freeze")
    return f"frozen: {coins} of {purchases} ({freezes}), the oldest {ago(frozen.oldest_s or 0)}"


def describe_web(web: WebStatus, now: datetime) -> str:
    """Return a line: for how long it is up, and whose events and purchases it takes."""
    line = f"web {web.web}: up for {duration((now - web.started_at).total_seconds())}"
    taken = web.detail.providers
    if taken is None:
        return line
    others = [provider.name for provider in PROVIDERS if provider.name not in taken]
    not_taken = f"; not of {', '.join(others)} (settings or PROVIDERS_ENABLED)" if others else ""
    line = f"{line}, takes events of {', '.join(taken)}{not_taken}"
    if buying := web.detail.purchases_from:
        return f"{line}; purchases that clients submit of {', '.join(buying)}"
    if any(provider.takes_submissions for provider in PROVIDERS if provider.name in taken):
        return f"{line}; no purchases that clients submit (set SUPABASE_JWKS_URL)"
    return line


def _ago(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else ago((now - moment).total_seconds())
