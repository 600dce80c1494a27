"""mocks: the process that stands in for the providers (`python -m workers.mock_providers`).

`coinfleet up --mock-providers` starts it beside the fleet; nothing else does. Arguments: the base
address of `web`, a folder for keys, and `name=port` for each provider.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from workers.logs import configure_logging
from workers.mock_providers.sender import Sender
from workers.mock_providers.serving import serving
from workers.mock_providers.table import MOCKS
from workers.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.settings import Settings

log = structlog.get_logger(__name__)


async def serve(settings: Settings, fleet: str, folder: Path, ports: Mapping[str, int]) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sender = Sender(fleet)
    async with AsyncExitStack() as stack:
        sending = asyncio.create_task(sender.run())
        for mock in MOCKS:
            server = mock.make_server(settings, sender, folder)
            await stack.enter_async_context(serving(server, port=ports[mock.name]))
        log.info("mocks_started", **{name: f"http://127.0.0.1:{at}" for name, at in ports.items()})
        await stop.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


def main(fleet: str, folder: str, *ports: str) -> None:
    """Read the arguments, and serve."""
    settings = load_settings()
    configure_logging(settings.log_format)
    named = {name: int(port) for name, port in (each.split("=") for each in ports)}
    asyncio.run(serve(settings, fleet, Path(folder), named))


if __name__ == "__main__":
    main(*sys.argv[1:])
