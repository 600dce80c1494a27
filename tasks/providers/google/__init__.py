"""Google Play: its pushes, its purchases, and what they mean.

provider.py puts the modules together; no other package imports one of them.
"""

from tasks.providers.google.provider import Google

__all__ = ["Google"]
