"""PostgreSQL and Valkey from pip wheels, for `make run` and the tests.

Only the programs come from the wheels; how they run is decided here. A production install leaves
the wheels out and uses no server of this folder.
"""

from workers.embedded.account import EmbeddedServerError, ServersUnavailable
from workers.embedded.folder import DataFolder, DataFolderUnusable, RunningFleet
from workers.embedded.postgres import EmbeddedPostgres
from workers.embedded.server import EmbeddedServer, ServerFailed, StartInterrupted
from workers.embedded.valkey import EmbeddedValkey

__all__ = [
    "DataFolder",
    "DataFolderUnusable",
    "EmbeddedPostgres",
    "EmbeddedServer",
    "EmbeddedServerError",
    "EmbeddedValkey",
    "RunningFleet",
    "ServerFailed",
    "ServersUnavailable",
    "StartInterrupted",
]
