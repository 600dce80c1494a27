"""Reads rates as a person writes them, on the command line or in a file; names every fault."""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from db.operating.rates import Rate
from workers.cli.times import read_time

if TYPE_CHECKING:
    from pathlib import Path

# Far more than all currencies of the world for a month.
ROWS_MAX = 10_000
BYTES_MAX = 1_000_000
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_HEADER = ["currency", "usd_per_unit", "as_of"]


class RateUnreadable(ValueError):
    """The message says what is wrong with a value."""


def read_number(text: str) -> Decimal:
    """Return a rate. Raises RateUnreadable."""
    if not _NUMBER.fullmatch(text.strip()):
        raise RateUnreadable(f"{text!r} is no number such as 1.0843")
    return Decimal(text.strip())


def read_file(path: Path) -> tuple[list[tuple[int, Rate]], list[tuple[int, str]]]:
    """Return the rates of a file and its faults, each with the number of its line.

    A line is `currency,usd_per_unit` or `currency,usd_per_unit,as_of`; the first may be these
    names. Raises RateUnreadable if the file as a whole can't be read, and OSError.
    """
    with path.open("rb") as file:
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise RateUnreadable(f"it has more than {BYTES_MAX:,} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RateUnreadable("it is not UTF-8") from error
    rates: list[tuple[int, Rate]] = []
    faults: list[tuple[int, str]] = []
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row) or (reader.line_num == 1 and row == _HEADER[: len(row)]):
                continue
            try:
                rates.append((reader.line_num, _read_row(row)))
            except RateUnreadable as error:
                faults.append((reader.line_num, str(error)))
    except csv.Error as error:
        raise RateUnreadable(f"line {reader.line_num} is no CSV: {error}") from error
    if not rates and not faults:
        raise RateUnreadable("it has no rate")
    if len(rates) + len(faults) > ROWS_MAX:
        raise RateUnreadable(f"it has more than {ROWS_MAX:,} rates")
    return rates, faults


def _read_row(row: list[str]) -> Rate:
    if len(row) not in (2, 3):
        raise RateUnreadable("it is not currency,usd_per_unit or currency,usd_per_unit,as_of")
    try:
        as_of = read_time(row[2]) if len(row) == len(_HEADER) and row[2] else None
    except ValueError as error:
        raise RateUnreadable(str(error)) from error
    return Rate(row[0].lower(), read_number(row[1]), as_of)
