"""What an examination of the fleet finds: a verdict, a code, what was seen, and the fix.

Values only. A sentence names settings, roles, hosts and codes; no secret and no payload stands in
it. A code is a literal where the finding is made, so that the tests can list all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

# A signature of a provider is refused if it is 300 s off.
CLOCK_OFF_S = 5.0
CLOCK_BROKEN_S = 60.0


class Verdict(StrEnum):
    """How a thing is, the worst first."""

    BROKEN = "broken"
    """Something does not work, or money or a secret is at risk: now."""
    ATTENTION = "attention"
    """It works, and somebody should look before it does not."""
    NOT_CHECKED = "not checked"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found; `fix` and `code` are empty if there is nothing to mend."""

    verdict: Verdict
    what: str
    fix: str = ""
    subject: str = ""
    """An id that `coinfleet explain` knows, as `event:42`, if the finding is of one thing."""
    code: str = ""
    """What sort of finding it is, for programs: it stays when the sentence is worded anew."""


Ask: TypeAlias = Callable[[], Awaitable[list[Finding]]]


def ok(what: str) -> Finding:
    """Return that all is well with this."""
    return Finding(Verdict.OK, what)


def attention(code: str, what: str, *, fix: str, subject: str = "") -> Finding:
    """Return that somebody should look."""
    return Finding(Verdict.ATTENTION, what, fix, subject, code)


def broken(code: str, what: str, *, fix: str, subject: str = "") -> Finding:
    """Return that something does not work."""
    return Finding(Verdict.BROKEN, what, fix, subject, code)


def not_checked(why: str, *, fix: str = "") -> Finding:
    """Return that this could not be found out here, and why."""
    return Finding(Verdict.NOT_CHECKED, why, fix)


def judge_clock(here: datetime, there: datetime, *, whose: str) -> Finding:
    """Compare this machine's clock with another one, `whose`."""
    ahead_s = (here - there).total_seconds()
    if abs(ahead_s) <= CLOCK_OFF_S:
        return ok(f"this machine's clock agrees with {whose}")
    side = "ahead of" if ahead_s > 0 else "behind"
    what = f"this machine's clock is {abs(ahead_s):,.0f} s {side} {whose}"
    fix = "have both machines' clocks set by NTP (chrony, systemd-timesyncd)"
    judge = broken if abs(ahead_s) > CLOCK_BROKEN_S else attention
    return judge("clock_off", what, fix=fix)
