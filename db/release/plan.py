"""The plan of a release: compares the SQL files with what a database has, and lists the steps.

Talks to no database; db/release/runner.py takes the steps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from db.release.schema import Kind, SchemaFile, SchemaProblem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

_GRANT = re.compile(r"^grant execute on function (?P<name>[\w.]+)\(.*;$", re.MULTILINE)
_DROPPED_LAST = (Kind.FUNCTION, Kind.LEGACY)


class MigrationChanged(SchemaProblem):
    """A migration that was applied to this database has another text now."""

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
class Record:
    """What a database records of a file that was applied there."""

    kind: str
    name: str
    checksum: str
    applied_at: datetime


Records: TypeAlias = "Mapping[tuple[str, str], Record]"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do to a database; without a checksum it removes a file that is gone."""

    kind: str
    name: str
    path: str
    sql: str
    checksum: str | None


@dataclass(frozen=True, slots=True)
class StatusRow:
    """The state of a file in a database.

    An `unknown` file was applied there and is not in this release; of a `damaged` one the catalog
    holds less or more than the last release left.
    """

    kind: str
    name: str
    state: Literal["applied", "pending", "changed", "unknown", "damaged"]
    applied_at: datetime | None


def plan(
    files: Sequence[SchemaFile], records: Records, damaged: Collection[tuple[str, str]] = ()
) -> list[Step]:
    """List the steps that bring a database with these records to these files.

    `damaged` are the files, by kind and name, of which the catalog differs from what the last
    release left: all but migrations are applied again.
    Policies come again after any change, since an object that was dropped and made anew has lost
    its grants; a table's own only after a migration, because they lock the table against everybody.
    A fleet is at work meanwhile: new functions come before changed ones, which may call them, and a
    function whose file is gone is dropped last, when nothing calls it any more.
    Raises MigrationChanged or UnknownMigrations.
    """
    _check_history(files, records)
    removals = [_removal(records[key], files) for key in _without_file(files, records)]
    steps = [step for step in removals if step.kind not in _DROPPED_LAST]
    changed, migrated = bool(removals), False
    grants = _grants(files)
    for file in files:
        record = records.get((file.kind, file.name))
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
        steps[first:last] = sorted(steps[first:last], key=lambda s: (s.kind, s.name) in records)
    return steps + [step for step in removals if step.kind in _DROPPED_LAST]


def has_new_text(step: Step, records: Records) -> bool:
    """Return whether a step brings a text that is not recorded, or removes one that is."""
    record = records.get((step.kind, step.name))
    return record is None or record.checksum != step.checksum


def _grants(files: Iterable[SchemaFile]) -> dict[tuple[str, str], list[str]]:
    """Return the lines of policies that grant a function, by the function's file.

    A function's text revokes all rights to it. They are granted again in the same transaction, so
    that no client is refused before the release comes to the policies.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for file in files:
        if file.kind is Kind.POLICY:
            for match in _GRANT.finditer(file.text):
                found.setdefault((Kind.FUNCTION, match["name"]), []).append(match[0])
    return found


def compare(
    files: Sequence[SchemaFile], records: Records, damaged: Collection[tuple[str, str]] = ()
) -> list[StatusRow]:
    """Compare each file with its record; records without a file come last."""
    gone = (records[key] for key in _without_file(files, records))
    rows = [_status_row(file, records.get((file.kind, file.name))) for file in files]
    return [
        replace(row, state="damaged")
        if row.state == "applied" and (row.kind, row.name) in damaged
        else row
        for row in rows
    ] + [StatusRow(record.kind, record.name, "unknown", record.applied_at) for record in gone]


def _without_file(files: Iterable[SchemaFile], records: Records) -> list[tuple[str, str]]:
    return sorted(records.keys() - {(file.kind, file.name) for file in files})


def _check_history(files: Sequence[SchemaFile], records: Records) -> None:
    migrations = [file for file in files if file.kind is Kind.MIGRATION]
    unknown = [name for kind, name in _without_file(migrations, records) if kind == Kind.MIGRATION]
    if unknown:
        raise UnknownMigrations(unknown)
    for file in migrations:
        record = records.get((file.kind, file.name))
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


def _status_row(file: SchemaFile, record: Record | None) -> StatusRow:
    if record is None:
        return StatusRow(file.kind, file.name, "pending", None)
    is_same = record.checksum == file.checksum
    return StatusRow(file.kind, file.name, "applied" if is_same else "changed", record.applied_at)
