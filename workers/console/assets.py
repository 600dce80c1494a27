"""Static files: what `static/vendor.json` names from npm, and our own. Each address has a hash.

A browser keeps a file for a year, and a changed file has another address. Asks no registry:
`make assets-test` does.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.types import Scope

FOLDER = Path(__file__).with_name("static")
PATH = "/static"
_KEPT = "public, max-age=31536000, immutable"


@cache
def asset_url(name: str) -> str:
    """Return the address of a static file, with the hash of what it holds now."""
    digest = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()
    return f"{PATH}/{name}?v={digest[:16]}"


class VersionedFiles(StaticFiles):
    """Serves static files; only an address with a hash may be kept."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, or 404."""
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            is_versioned = b"v=" in scope["query_string"]
            response.headers["cache-control"] = _KEPT if is_versioned else "no-cache"
        return response
