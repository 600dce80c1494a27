"""The SQL examples of docs/examples, and what each prints.

    .venv/bin/python -m tests.examples

runs them on a database of their own and rewrites the `.out` file beside each.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from pathlib import Path

from tests.clusters import Cluster
from workers.embedded import EmbeddedPostgres
from workers.embedded.binaries import postgres_bin

ROOT = Path(__file__).parent.parent
EXAMPLES = tuple(sorted((ROOT / "docs" / "examples").glob("*.sql")))
TIMEOUT_S = 60


def expected(example: Path) -> Path:
    """Return the file that keeps what the example prints."""
    return example.with_suffix(".out")


def printed(example: Path, database_url: str) -> str:
    """Run an example as its head says, with the psql beside the server; return what it prints."""
    command = [postgres_bin() / "psql", database_url, "-Xaqf", example.relative_to(ROOT)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PGCLIENTENCODING": "UTF8", "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.stdout


def rewrite() -> None:
    """Write what each example prints on a database that is as a release leaves it."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        cluster = Cluster(server.superuser_url)
        try:
            database = asyncio.run(cluster.make_template())
            for example in EXAMPLES:
                expected(example).write_text(printed(example, database.url()), encoding="utf-8")
        finally:
            cluster.close()
            server.stop()


if __name__ == "__main__":
    rewrite()
