"""The order in which the members of a fleet stop, and how long each may take.

Processes stop before the servers that they need. A member that takes too long is killed: the whole
fleet stops within ten seconds even if every member hangs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from workers.embedded import EmbeddedPostgres, EmbeddedValkey
from workers.processes import PROCESSES
from workers.supervisor.member import Member, describe_end
from workers.supervisor.output import Output

# When a member is killed, in seconds after the first was told to stop. Time that one member doesn't
# use is left to the next.
STOP_BY_S: Mapping[str, float] = {
    **{name: process.stop_by_s for name, process in PROCESSES.items()},
    EmbeddedValkey.name: 8.0,
    EmbeddedPostgres.name: 9.0,
}
# For a process that only the Procfile names: it stops before the others.
OTHERS_STOP_BY_S = 1.0
LEAST_STOP_S = 0.2


def stop_in_order(members: Iterable[Member], output: Output) -> None:
    """Stop the members one after the other, and say how each ended."""
    began_at = time.monotonic()
    for member in sorted(members, key=_stop_by_s):
        if member.running:
            left_s = began_at + _stop_by_s(member) - time.monotonic()
            member.stop(max(left_s, LEAST_STOP_S))
            output.say(f"{member.name} ended ({describe_end(member)})")


def _stop_by_s(member: Member) -> float:
    return STOP_BY_S.get(member.name, OTHERS_STOP_BY_S)
