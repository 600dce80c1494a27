"""The schema as files for `supabase db push`: the steps of a release, with its records.

    <version>_<name>.sql              one for each migration, as in db/migrations
    <version>_coinfleet_objects.sql   functions, views, invariants and policies, after them

A project's folder is treated as a database is: its files say which steps it has, and a release adds
the steps that it lacks. So the folder only grows. Each file writes the release's records too, so
that `migrate` finds nothing to do after a push. The shim is left out: Supabase has the objects that
it replaces.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from db.release.plan import Record, Step, plan
from db.release.records import REMOVED, TABLES
from db.release.schema import Kind, SchemaFile, expected
from db.release.sign_ups import EXPORTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

OBJECTS = "coinfleet_objects"
_VERSION_FORMAT = "%Y%m%d%H%M%S"
_FILE_NAME = re.compile(r"(\d{14})_.*\.sql")
_STEP = re.compile(rf"^-- coinfleet (\w+) ([\w.]+) ({REMOVED}|[0-9a-f]{{64}})$", re.MULTILINE)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_HEADER = "-- Written by `coinfleet migrate --export`; changes belong in coinfleet's db/."
# What the runner sets in its own session.
_OPENING = "set check_function_bodies = off;\nset search_path = '';"
_CLOSING = "reset check_function_bodies;\nreset search_path;"
_NOTE_MIGRATION = """\
insert into fleet.schema_migrations (version, name, checksum)
values ({version}, '{step.name}', '{step.checksum}');"""
_NOTE_OBJECT = """\
insert into fleet.schema_objects (kind, name, checksum)
values ('{step.kind}', '{step.name}', '{step.checksum}')
on conflict (kind, name) do update
    set checksum = excluded.checksum, applied_at = clock_timestamp();"""
_RECORD = "select fleet.record_catalog(p_everything => true);"
_NOTE_REMOVAL = """\
delete from fleet.schema_objects where kind = '{step.kind}' and name = '{step.name}';"""
_NOTE_REMOVED_FUNCTION = """\
update fleet.schema_objects set checksum = '{removed}', applied_at = clock_timestamp()
where kind = 'function' and name = '{step.name}';"""
# Only the project's database knows whether it was upgraded.
_ONLY_IF_UPGRADED = """\
do $coinfleet$
begin
    if to_regclass('fleet.upgrade_runs') is not null then
        execute $coinfleet_legacy$
{text}
$coinfleet_legacy$;
    end if;
end
$coinfleet$;"""


def export(folder: Path, files: Sequence[SchemaFile] | None = None) -> list[Path]:
    """Add to the folder what it lacks of these files, this release's by default.

    Return the files that were written; a second call writes none. Raises SchemaProblem if a
    migration differs from the exported one or the folder is a newer release's, and OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {found[1]: path for path in folder.iterdir() if (found := _FILE_NAME.match(path.name))}
    book = _read_records([paths[version] for version in sorted(paths)])
    wanted = expected() if files is None else files
    steps = plan([file for file in wanted if file.kind is not Kind.SHIM], book)
    written = _Writer(folder, newest=max(paths, default=""), makes_records=not book)
    for step in steps:
        if step.kind == Kind.MIGRATION:
            written.add_migration(step)
    written.add_objects([step for step in steps if step.kind != Kind.MIGRATION])
    return written.paths


class _Writer:
    """Adds files to a folder of migrations, each with a version after all others."""

    def __init__(self, folder: Path, *, newest: str, makes_records: bool) -> None:
        self.paths: list[Path] = []
        self._folder = folder
        self._newest = newest
        self._makes_records = makes_records

    def add_migration(self, step: Step) -> None:
        """Add a migration under its own version, or a later one if the project's are past it."""
        version, _, name = step.name.partition("_")
        self._write(version if version > self._newest else _after(self._newest), name, [step])

    def add_objects(self, steps: Sequence[Step]) -> None:
        """Add all the other steps as one file."""
        if steps:
            self._write(_after(self._newest), OBJECTS, steps)

    def _write(self, version: str, name: str, steps: Sequence[Step]) -> None:
        parts = [_HEADER, _OPENING]
        if self._makes_records:
            parts.append(TABLES.read_text(encoding="utf-8").strip())
            self._makes_records = False
        parts += [_text(step) for step in steps]
        if name == OBJECTS:
            parts += [EXPORTED, _RECORD]
        path = self._folder / f"{version}_{name}.sql"
        path.write_text("\n\n".join([*parts, _CLOSING]) + "\n", encoding="utf-8")
        self._newest = version
        self.paths.append(path)


def _text(step: Step) -> str:
    """Return a step's statements and its record, below the line that `_read_records` looks for."""
    sql = step.sql.strip()
    if sql and not sql.endswith(";"):
        sql += "\n;"
    note = _NOTE_OBJECT
    if step.checksum is None:
        note = _NOTE_REMOVED_FUNCTION if step.kind == Kind.FUNCTION else _NOTE_REMOVAL
    elif step.kind == Kind.MIGRATION:
        note = _NOTE_MIGRATION
    word = f"-- coinfleet {step.kind} {step.name} {step.checksum or REMOVED}"
    text = "\n".join([sql, note.format(step=step, version=step.name[:14], removed=REMOVED)])
    if step.kind == Kind.LEGACY:
        text = _ONLY_IF_UPGRADED.format(text=text)
    return f"{word}\n{text}"


def _read_records(paths: Iterable[Path]) -> dict[tuple[str, str], Record]:
    """Return which steps the files have, in their order; a project's own files have none."""
    book = {}
    for path in paths:
        # A project's own file may be in any encoding.
        text = path.read_text(encoding="utf-8", errors="replace")
        for kind, name, checksum in _STEP.findall(text):
            book[kind, name] = Record(kind, name, checksum, _LONG_AGO)
    return {key: record for key, record in book.items() if record.checksum != REMOVED}


def _after(version: str) -> str:
    """Return the version a second later, or the next number if it is not a time."""
    try:
        moment = datetime.strptime(version, _VERSION_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return f"{int(version) + 1:014}"
    return (moment + timedelta(seconds=1)).strftime(_VERSION_FORMAT)
