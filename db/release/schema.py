"""The SQL files of db/: what the schema of this release is. Reads files, talks to no database."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from db.errors import CoinfleetError

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1]

_MIGRATION_NAME = re.compile(r"\d{14}_[a-z0-9_]+")
_OBJECT_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")


class Kind(StrEnum):
    """What a file is. The order of the members is the order in which a release applies them."""

    SHIM = "shim"
    LOGIN = "login"
    MIGRATION = "migration"
    FUNCTION = "function"
    LEGACY = "legacy"
    VIEW = "view"
    INVARIANT = "invariant"
    POLICY = "policy"

    @property
    def folder(self) -> str:
        """The folder of db/ that holds such files."""
        return _FOLDERS[self]


_FOLDERS = {
    Kind.SHIM: "shim",
    Kind.LOGIN: "logins",
    Kind.MIGRATION: "migrations",
    Kind.FUNCTION: "functions",
    Kind.LEGACY: "legacy/functions",
    Kind.VIEW: "views",
    Kind.INVARIANT: "invariants",
    Kind.POLICY: "policies",
}


class SchemaProblem(CoinfleetError):
    """The database can't be brought to this release's schema."""


class MisnamedFile(SchemaProblem):
    """A file of db/ isn't named by the rule of its folder, or shares its version with another."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: its name breaks the rule of its folder, or its version is taken")
        self.path = path


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One file of db/."""

    kind: Kind
    name: str
    text: str
    # The folder of its subject below the kind's own, which makes no difference to a database.
    room: str = ""

    @property
    def path(self) -> str:
        """Its path, for a reader."""
        return "/".join(filter(None, ("db", self.kind.folder, self.room, f"{self.name}.sql")))

    @property
    def version(self) -> int:
        """The 14 digits that start a migration's name."""
        return int(self.name[:14])

    @property
    def checksum(self) -> str:
        """The SHA-256 of the text, by which a changed file is known."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def is_of_a_table(self) -> bool:
        """Whether it is the policy of one table, `<schema>.<table>`."""
        return self.kind is Kind.POLICY and "." in self.name

    @property
    def sql(self) -> str:
        """The statements to execute; their line numbers are the file's."""
        return _view_of(self) if self.kind is Kind.INVARIANT else self.text


@cache
def expected() -> tuple[SchemaFile, ...]:
    """Read this release's files in the order in which they are applied; once a process."""
    return tuple(read_folder(FOLDER))


def login_roles() -> list[str]:
    """Return the roles of our processes: each has a file of logins/, named as the role is."""
    return [file.name for file in expected() if file.kind is Kind.LOGIN]


def path_of(kind: str, name: str) -> str:
    """Return the path of the file of this kind and name, also if it is gone."""
    files = (file for file in expected() if (file.kind, file.name) == (kind, name))
    return next(files, SchemaFile(Kind(kind), name, "")).path


def read_folder(folder: Path) -> Iterator[SchemaFile]:
    """Read a folder laid out like db/. Raises MisnamedFile."""
    versions: set[int] = set()
    for kind in Kind:
        rule = _MIGRATION_NAME if kind is Kind.MIGRATION else _OBJECT_NAME
        top = folder / kind.folder
        for path in sorted(top.rglob("*.sql"), key=lambda path: path.name):
            room = "/".join(path.parent.relative_to(top).parts)
            file = SchemaFile(kind, path.stem, path.read_text(encoding="utf-8"), room)
            if not rule.fullmatch(file.name):
                raise MisnamedFile(file.path)
            if kind is Kind.MIGRATION:
                if file.version in versions:
                    raise MisnamedFile(file.path)
                versions.add(file.version)
            yield file


def _view_of(file: SchemaFile) -> str:
    """Wrap an invariant's query; its leading comment lines become the view's comment."""
    lines = file.text.strip().splitlines()
    comment = []
    for line in lines:
        if not line.startswith("--"):
            break
        comment.append(line.removeprefix("--").strip())
    query = "\n".join(lines).rstrip(";")
    quoted = " ".join(comment).replace("'", "''")
    view = f"invariants.{file.name}"
    return (
        f"drop view if exists {view}; create view {view} as {query}\n;"
        f" comment on view {view} is '{quoted}'"
    )
