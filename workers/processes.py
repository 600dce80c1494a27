"""The fleet's processes and the module that each one runs; the Procfile says the same in its form.

An installed package has no Procfile: `coinfleet up` starts these. A test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping

from workers.settings import Process

# In the order of the Procfile.
PROCESSES: Mapping[Process, str] = {
    "release": "workers.release",
    "web": "workers.webhooks",
    "worker": "workers.consumer",
    "scheduler": "workers.scheduler",
}
