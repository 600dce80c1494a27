"""What the schema should be: the SQL files beside this module, and what a database lacks of it.

Reads files and compares; talks to no database.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from db.errors import CoinfleetError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

FOLDER = Path(__file__).parents[1]
BOOKKEEPING = Path(__file__).with_name("bookkeeping.sql")

_MIGRATION_NAME = re.compile(r"\d{14}_[a-z0-9_]+")
_GRANT = re.compile(r"^grant execute on function (?P<name>[\w.]+)\(.*;$", re.MULTILINE)
# In place of the checksum of a function whose file is gone. Its row stays in the books, because an
# older release that still runs asks there for each of its functions (`is_current`).
REMOVED = "removed"
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
_DROPPED_LAST = (Kind.FUNCTION, Kind.LEGACY)


class SchemaProblem(CoinfleetError):
    """The database can't be brought to this release's schema."""


class MisnamedFile(SchemaProblem):
    """A file of db/ isn't named by the rule of its folder, or shares its version with another."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: its name breaks the rule of its folder, or its version is taken")
        self.path = path


class MigrationChanged(SchemaProblem):
    """A migration that this database has applied reads differently now."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} was changed after it was applied here:"
            " restore its text, and write what is new as a new migration"
        )
        self.path = path


class UnknownMigrations(SchemaProblem):
    """The database has migrations that this release doesn't know: the code is the older one."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            "this release is older than the database, or from another branch;"
            f" applied there and unknown here: {', '.join(names)}"
        )
        self.names = names


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One file of db/."""

    kind: Kind
    name: str
    text: str
    # Functions lie in rooms, by subject. Which one is nothing to a database.
    room: str = ""

    @property
    def path(self) -> str:
        """Where a reader finds it."""
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
        """What to execute; line numbers are the file's own."""
        return _view_of(self) if self.kind is Kind.INVARIANT else self.text


@dataclass(frozen=True, slots=True)
class Record:
    """What a database's books say of a file that was applied there."""

    kind: str
    name: str
    checksum: str
    applied_at: datetime


Book: TypeAlias = "Mapping[tuple[str, str], Record]"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do to a database; without a checksum it forgets a file that is gone."""

    kind: str
    name: str
    path: str
    sql: str
    checksum: str | None


@dataclass(frozen=True, slots=True)
class StatusRow:
    """How a file stands to a database.

    `unknown` was applied there and has no file here; of a `damaged` one the catalog holds less or
    more than the last release left.
    """

    kind: str
    name: str
    state: Literal["applied", "pending", "changed", "unknown", "damaged"]
    applied_at: datetime | None


@cache
def expected() -> tuple[SchemaFile, ...]:
    """Read this release's files in the order in which they are applied; once a process."""
    return tuple(read_folder(FOLDER))


def login_roles() -> list[str]:
    """Return the roles of our processes: each has a file of logins/, named as the role is."""
    return [file.name for file in expected() if file.kind is Kind.LOGIN]


def path_of(kind: str, name: str) -> str:
    """Return where a reader finds the file with this key; of one that is gone, where it lay."""
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


def plan(
    files: Sequence[SchemaFile], book: Book, damaged: Collection[tuple[str, str]] = ()
) -> list[Step]:
    """List what brings a database with this book to these files.

    `damaged` are the files, by kind and name, of which the catalog differs from what the last
    release left: all but migrations are applied again.
    Policies come again after any change, since an object that was dropped and made anew has lost
    its grants; a table's own only after a migration, since they lock the table against everybody.
    New functions come before changed ones, which may call them, and those whose file is gone are
    dropped last, when nothing calls them any more: a fleet is at work meanwhile.
    Raises MigrationChanged or UnknownMigrations.
    """
    _check_history(files, book)
    removals = [_removal(book[key], files) for key in _without_file(files, book)]
    steps = [step for step in removals if step.kind not in _DROPPED_LAST]
    changed, migrated = bool(removals), False
    grants = _grants(files)
    for file in files:
        record = book.get((file.kind, file.name))
        is_new_text = record is None or record.checksum != file.checksum
        is_stale = is_new_text or (file.kind, file.name) in damaged
        changed = changed or is_stale
        migrated = migrated or (is_stale and file.kind is Kind.MIGRATION)
        may_be_lost = migrated if file.is_of_a_table else changed
        if is_stale or (may_be_lost and file.kind is Kind.POLICY):
            sql = "\n".join([file.sql, *grants.get((file.kind, file.name), [])])
            steps.append(Step(file.kind, file.name, file.path, sql, file.checksum))
    functions = [no for no, step in enumerate(steps) if step.kind is Kind.FUNCTION]
    if functions:
        first, last = functions[0], functions[-1] + 1
        steps[first:last] = sorted(steps[first:last], key=lambda s: (s.kind, s.name) in book)
    return steps + [step for step in removals if step.kind in _DROPPED_LAST]


def has_new_text(step: Step, book: Book) -> bool:
    """Say whether a step brings a text that this book doesn't have, or forgets one that it has."""
    record = book.get((step.kind, step.name))
    return record is None or record.checksum != step.checksum


def _grants(files: Iterable[SchemaFile]) -> dict[tuple[str, str], list[str]]:
    """Return the lines of policies that grant a function, by the function's file.

    A function's text revokes what clients may do with it. Granted again in the same transaction,
    nobody is refused while the release goes on to the policies.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for file in files:
        if file.kind is Kind.POLICY:
            for match in _GRANT.finditer(file.text):
                found.setdefault((Kind.FUNCTION, match["name"]), []).append(match[0])
    return found


def compare(
    files: Sequence[SchemaFile], book: Book, damaged: Collection[tuple[str, str]] = ()
) -> list[StatusRow]:
    """Put each file beside its record; records without a file come last."""
    gone = (book[key] for key in _without_file(files, book))
    rows = [_status_row(file, book.get((file.kind, file.name))) for file in files]
    return [
        replace(row, state="damaged")
        if row.state == "applied" and (row.kind, row.name) in damaged
        else row
        for row in rows
    ] + [StatusRow(record.kind, record.name, "unknown", record.applied_at) for record in gone]


def _without_file(files: Iterable[SchemaFile], book: Book) -> list[tuple[str, str]]:
    return sorted(book.keys() - {(file.kind, file.name) for file in files})


def _check_history(files: Sequence[SchemaFile], book: Book) -> None:
    migrations = [file for file in files if file.kind is Kind.MIGRATION]
    unknown = [name for kind, name in _without_file(migrations, book) if kind == Kind.MIGRATION]
    if unknown:
        raise UnknownMigrations(unknown)
    for file in migrations:
        record = book.get((file.kind, file.name))
        if record and record.checksum != file.checksum:
            raise MigrationChanged(file.path)


def _removal(record: Record, files: Iterable[SchemaFile]) -> Step:
    match record.kind:
        case Kind.INVARIANT:
            sql = f"drop view if exists invariants.{record.name}"
        # A file that is of another kind now has made the function again.
        case Kind.FUNCTION | Kind.LEGACY if record.name not in {file.name for file in files}:
            sql = f"drop function if exists {record.name}"
        case _:
            sql = ""
    return Step(record.kind, record.name, f"{record.kind} {record.name}", sql, None)


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


def _status_row(file: SchemaFile, record: Record | None) -> StatusRow:
    if record is None:
        return StatusRow(file.kind, file.name, "pending", None)
    is_same = record.checksum == file.checksum
    return StatusRow(file.kind, file.name, "applied" if is_same else "changed", record.applied_at)
