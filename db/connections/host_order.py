"""Which host of an address is asked first: the first one, unless it was silent lately."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from db.connections.address import Host

# A host that takes longer to refuse a connection, or is given up later, counts as silent.
SILENT_FROM_S = 1.0


class HostOrder:
    """Remembers the hosts that gave no answer when they were asked last.

    A caller may wait for less time than a silent host takes. If that host came first each time, no
    other would ever be asked.
    """

    def __init__(self) -> None:
        self.silent: set[Host] = set()

    def sort(self, hosts: Iterable[Host]) -> list[Host]:
        """Return the hosts in the order in which to ask them: as written, silent ones last."""
        return sorted(hosts, key=self.silent.__contains__)

    @contextmanager
    def noting_silence(self, host: Host) -> Iterator[None]:
        """Remember whether the host answered in the block; a caller that gave up was not answered.

        An error that comes late counts as silence: a network without a route to the host raises
        one, and it is no TimeoutError.
        """
        started = time.monotonic()
        try:
            yield
        except BaseException:
            if time.monotonic() - started >= SILENT_FROM_S:
                self.silent.add(host)
            else:
                self.silent.discard(host)
            raise
        self.silent.discard(host)
