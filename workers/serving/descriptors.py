"""How many connections this process may have, given the file descriptors that it may open.

Raises the soft limit of descriptors and nothing else.
"""

from __future__ import annotations

import resource

import structlog

from workers.serving.limits import CONNECTIONS_MAX, EXCESS_MAX

log = structlog.get_logger(__name__)

# Connections that the kernel keeps for a busy process, which may accept them all at once.
BACKLOG_MAX = 256
# For connections to the database and the queue, for files, and for what is just being closed.
DESCRIPTORS_OF_OURS = 64
CONNECTIONS_MIN = 8
# Planned with if the number is unlimited.
DESCRIPTORS_MAX = 65_536


def plan_connections(*, wanted: int = CONNECTIONS_MAX) -> tuple[int, int]:
    """Raise the soft limit of descriptors to the hard one; return connections and backlog."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    backlog = min(BACKLOG_MAX, descriptors // 4)
    room = max(descriptors - backlog - EXCESS_MAX - DESCRIPTORS_OF_OURS, CONNECTIONS_MIN)
    if room < wanted:
        log.warning(
            "few_descriptors",
            descriptors=descriptors,
            connections_max=room,
            wanted=wanted,
            remedy="raise the limit of open files (ulimit -n, LimitNOFILE=)",
        )
    return min(wanted, room), backlog
