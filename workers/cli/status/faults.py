"""Fault: one thing that needs a person, as a line of `coinfleet status` and a finding of `doctor`.

A value only. It names ids, settings and codes; no secret and no payload stands in it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and what to do about it; `fix` is empty if `what` says it, too."""

    code: str
    """What sort of fault it is: a literal where it is found, see tasks/findings.py."""
    what: str
    fix: str = ""
    subject: str = ""
    """An id that `coinfleet explain` knows, if the fault is of one thing."""

    @property
    def line(self) -> str:
        """The whole of it in a line."""
        return f"{self.what}: {self.fix}" if self.fix else self.what
