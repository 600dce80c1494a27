"""`coinfleet up`: starts the servers and processes, restarts what died, and stops all in order.

For development and tests. In production each process is a unit or container of its own.
"""

from workers.supervisor.fleet import Fleet, FleetFailed
from workers.supervisor.signals import Signals

__all__ = ["Fleet", "FleetFailed", "Signals"]
