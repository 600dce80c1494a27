"""What web refused lately, and why: for the log and for its report.

Logs each cause at most once per minute: a sender of rubbish must not fill the log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from db.health.webs import RefusedInARow

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

LOG_EVERY_S = 60.0
# Only a change of a setting or a clock ends these; others are mistakes of a sender.
STANDING_CAUSES = frozenset({"no_match", "stale"})


@dataclass(slots=True)
class _Streak:
    webhooks: int
    newest_at: float


class Refusals:
    """Counts refusals in a row by provider and cause; a webhook that is accepted ends the row."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._streaks: dict[tuple[str, str], _Streak] = {}
        self._logged_at: dict[tuple[str, str], float] = {}

    def note_accepted(self, provider: str) -> None:
        """End the row: the secrets and the clock are right."""
        if self._streaks:
            for key in [key for key in self._streaks if key[0] == provider]:
                del self._streaks[key]

    def note_refused(self, provider: str, cause: str) -> None:
        """Count a refusal if its cause may be on this side: a secret or a clock."""
        if cause not in STANDING_CAUSES:
            return
        streak = self._streaks.setdefault((provider, cause), _Streak(0, 0.0))
        streak.webhooks += 1
        streak.newest_at = self._clock()

    def log_stale(self, provider: str, late_s: float) -> None:
        """Log a good signature that is too old or from the future, and by how much."""
        now = self._clock()
        if now - self._logged_at.get((provider, "stale"), float("-inf")) < LOG_EVERY_S:
            return
        self._logged_at[provider, "stale"] = now
        log.warning(
            "signature_stale",
            provider=provider,
            late_s=round(late_s),
            then="refused with 400: compare this machine's clock with the sender's",
        )

    def in_a_row(self) -> tuple[RefusedInARow, ...]:
        """Return what was refused since the last accepted webhook, by provider and cause."""
        now = self._clock()
        return tuple(
            RefusedInARow(provider, cause, streak.webhooks, now - streak.newest_at)
            for (provider, cause), streak in sorted(self._streaks.items())
        )
