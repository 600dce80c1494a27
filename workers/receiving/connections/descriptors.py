"""How many connections fit into the file descriptors that this process may open."""

from __future__ import annotations

import resource

import structlog

from workers.receiving.connections.limits import CONNECTIONS_MAX, TOLD_MAX

log = structlog.get_logger(__name__)

# Connections that the kernel accepts while the process is busy; all of them may come at once.
BACKLOG_MAX = 256
# The database's connections, the queue's, files, and what is being closed at this moment.
DESCRIPTORS_OF_OURS = 64
CONNECTIONS_MIN = 8
# An unlimited number of descriptors is no number to plan with.
DESCRIPTORS_MAX = 65_536


def plan_connections() -> tuple[int, int]:
    """Raise the soft limit of descriptors to the hard one; give what fits: connections, backlog."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    backlog = min(BACKLOG_MAX, descriptors // 4)
    room = max(descriptors - backlog - TOLD_MAX - DESCRIPTORS_OF_OURS, CONNECTIONS_MIN)
    if room < CONNECTIONS_MAX:
        log.warning(
            "few_descriptors",
            descriptors=descriptors,
            connections_max=room,
            wanted=CONNECTIONS_MAX,
            remedy="raise the limit of open files (ulimit -n, LimitNOFILE=)",
        )
    return min(CONNECTIONS_MAX, room), backlog
