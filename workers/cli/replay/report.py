"""What a replay did or would do, as one value, and how it is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from workers.cli.terminal import print_lines, print_rows, width_of, wrapped
from workers.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from db.operating.replaying import Batch, Ending

# So many events are named one by one; more are counted by what became of them.
NAMED_MAX = 20

SKIPPED = {
    "no_payload": "without a payload, so that it can't be read again",
    "in_hand": "in the hands of a worker just now",
    "decided": "of a purchase that a person has decided",
    "changed": "changed since it was looked up",
    "unknown": "gone",
}


@dataclass(slots=True)
class Replay:
    """All of it. `left` counts events of batches that were not begun."""

    dry_run: bool
    matched: int = 0
    batches: int = 0
    left: int = 0
    settled: int = 0
    has_worker: bool | None = None
    endings: list[Ending] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    moved: dict[str, list[int]] = field(default_factory=dict)
    """By account: coins gained, by how many, lost, by how many."""

    def add(self, batch: Batch) -> None:
        """Count a batch."""
        self.endings += batch.endings
        self.skipped |= batch.skipped
        self.settled += batch.settled
        for each in batch.moved:
            sums = self.moved.setdefault(each.account, [0, 0, 0, 0])
            told = (each.gained, each.gainers, each.lost, each.losers)
            self.moved[each.account] = [a + b for a, b in zip(sums, told, strict=True)]

    @property
    def needs_a_person(self) -> bool:
        """Whether an event was left open or dead, or was not begun. A trial leaves nothing."""
        unfinished = any(each.state in ("pending", "held", "dead") for each in self.endings)
        return not self.dry_run and (unfinished or self.left > 0)


def as_json_text(done: Replay) -> str:
    """Return it as JSON, each event named."""
    value = {
        "matched": done.matched,
        "dry_run": done.dry_run,
        "not_begun": done.left,
        "worker_reports": done.has_worker,
        "events": done.endings,
        "skipped": done.skipped,
        "changes": [
            {
                "before": before,
                "reason_before": reason_before,
                "after": after,
                "reason": reason,
                "events": events,
            }
            for (before, reason_before, after, reason), events in _changes(done).items()
        ],
        "others_settled": done.settled,
        "coins": {
            account: dict(zip(("gained", "gainers", "lost", "losers"), sums, strict=True))
            for account, sums in done.moved.items()
        },
    }
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def show(console: Console, done: Replay) -> None:
    """Print it."""
    width = width_of(console)

    def say(line: str, style: str = "") -> None:
        print_lines(console, wrapped(line, width=width, indent="  "), style=style)

    if not done.matched:
        say("No event matches.")
        return
    say(f"{counted(done.matched, 'event')} match." if done.matched > 1 else "1 event matches.")
    for skipped, events in Counter(done.skipped.values()).items():
        say(f"Left as it is: {counted(events, 'event')} {SKIPPED[skipped]}.")
    if done.endings:
        after = "would be" if done.dry_run else "is now"
        rows = [
            ([_said(was, why), _said(state, reason), f"{events:,}"], _style(state))
            for (was, why, state, reason), events in sorted(_changes(done).items(), key=str)
        ]
        print_rows(console, ["was", after, "events"], rows)
    for line in _rest(done):
        say(line)
    if len(done.endings) <= NAMED_MAX:
        for each in done.endings:
            error = f" ({each.error})" if each.error else ""
            say(f"event {each.event_id}: {_said(each.state, each.reason)}{error}")
    if done.dry_run:
        say("Nothing was changed.")


def _rest(done: Replay) -> Iterator[str]:
    # Who is in two batches counts twice.
    most = "at most " if done.batches > 1 else ""
    for account, (gained, gainers, lost, losers) in done.moved.items():
        yield (
            f"{account}: {most}{counted(gainers, 'profile')} would gain {gained:,},"
            f" {most}{counted(losers, 'profile')} would lose {lost:,}"
        )
    if done.dry_run and done.endings and not done.moved:
        yield "No coin would move."
    if done.settled:
        yield f"{counted(done.settled, 'other event')} of these payments would be settled too."
    if done.dry_run and done.batches > 1:
        yield (
            f"Each of {done.batches} batches was tried for itself, so none saw what another would"
            " do: balances and limits may turn out otherwise."
        )
    if done.endings and done.has_worker is False:
        yield "No worker reports: the events are pending until one runs."
    asking = sum(each.reason == "no_answer_yet" for each in done.endings)
    if asking:
        yield (
            f"{counted(asking, 'event')} waiting for an answer of the provider: a worker asks for"
            " it, anew if the call for it was dead."
        )
    pending = sum(each.state == "pending" for each in done.endings)
    if pending and done.has_worker:
        yield f"{counted(pending, 'event')} still pending when the time was over: see status."
    if done.left:
        yield f"Stopped there: {counted(done.left, 'event')} not begun."


def _changes(done: Replay) -> Counter[tuple[str, str | None, str, str | None]]:
    return Counter(
        (each.before, each.reason_before, each.state, each.reason) for each in done.endings
    )


def _said(state: str, reason: str | None) -> str:
    return f"{state}: {reason}" if reason else state


def _style(state: str) -> str:
    return "red" if state in ("pending", "held", "dead") else ""
