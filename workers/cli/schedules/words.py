"""What came of a person's wish about a schedule, in a sentence; for the command and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.operating.schedules import Done

_SAID: Mapping[Done, str] = {
    "paused": "{} is paused: no run begins until it is resumed.",
    "paused_already": "{} is paused already. Nothing was changed.",
    "resumed": "{} runs again, at its next time.",
    "not_paused": "{} is not paused. Nothing was changed.",
    "asked": "{} is asked for: a worker does it within a second.",
    "running": "A worker does {} at this moment. Nothing was changed.",
    "never_fired": "No scheduler has ever fired {}: start one. Nothing was changed.",
}


def said(done: Done, job: str) -> str:
    """Return the sentence."""
    return _SAID[done].format(job)
