"""`coinfleet rates` as an operator types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from workers.cli.status.command import read_health

if TYPE_CHECKING:
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.workers.cli.conftest import Typed


async def test_a_rate_is_set_and_listed(typed: Typed) -> None:
    code, said, _ = await typed("rates", "set", "EUR", "1.0843", "--why", "of the bank")
    assert (code, said) == (
        0,
        "eur: a unit is worth 1.0843 US dollars\nNo purchase is held for want of it.\n",
    )
    code, said, _ = await typed("rates", "list", "--json")
    (listed,) = json.loads(said)["rates"]
    assert (code, listed["currency"], listed["usd_per_unit"]) == (0, "eur", "1.0843")
    assert listed["counts"]


@pytest.mark.parametrize("number", ["1,08", "0x1", "nan", "1_0", "\u0663", "", "--5"])
async def test_what_is_no_number_is_refused(typed: Typed, number: str) -> None:
    assert (await typed("rates", "set", "eur", number)).code == 2


@pytest.mark.parametrize("moment", ["0001-01-01", "1999-12-31T23:59:59Z"])
async def test_a_time_before_there_were_such_payments_is_refused(typed: Typed, moment: str) -> None:
    code, _, error = await typed("rates", "set", "eur", "1.08", "--as-of", moment)
    assert code == 2
    assert "its time is before 2000" in error


async def test_a_file_is_stored_whole(typed: Typed, db: Connection, tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text("currency,usd_per_unit,as_of\nEUR,1.08,2026-05-04\n\njpy, 0.0067\n")
    code, said, _ = await typed("rates", "import", str(file))
    assert (code, said.splitlines()[0]) == (0, f"2 new rates of 2 in {file}")
    assert await db.fetchval("select count(*) from public.fx_rates") == 2


async def test_all_faults_of_a_file_are_told_and_nothing_is_stored(
    typed: Typed, db: Connection, tmp_path: Path
) -> None:
    file = tmp_path / "rates.csv"
    file.write_text("eur,1.08\ngbp\nchf,one\nusd,1\nnok,0.1,soon\njpy,149\n")
    code, said, error = await typed("rates", "import", str(file))
    assert (code, said) == (2, "")
    assert [line.split(":")[0] for line in error.splitlines()] == [
        "coinfleet",
        *(f"line {no}" for no in (2, 3, 4, 5, 6)),
    ]
    assert await db.fetchval("select count(*) from public.fx_rates") == 0


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "it has no rate"), (b"eur,\xff", "it is not UTF-8")]
)
async def test_a_file_that_cannot_be_read_is_one_line(
    typed: Typed, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "rates.csv"
    file.write_bytes(content)
    ended = await typed("rates", "import", str(file))
    assert (ended.code, ended.err) == (2, f"coinfleet: {file}: {said}\n")


async def test_status_names_a_currency_without_a_rate(database: Database, db: Connection) -> None:
    await dispute_in_euros(db)
    health = await read_health(database.url(), None)
    assert [line for line in health.attention if "eur (none)" in line]


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("days", "said"),
    [
        (4, None),
        (6, "exchange rates older than 5 days: eur (the newest 6 d ago); after 7 days"),
        (8, "no exchange rate of the last 7 days: eur (the newest 8 d ago); payments are held"),
    ],
)
async def test_a_rate_that_is_old_is_named_before_it_stops_to_count(
    database: Database, db: Connection, days: int, said: str | None
) -> None:
    await dispute_in_euros(db)
    await db.execute(
        "insert into public.fx_rates values ('eur', 1.08, now() - make_interval(days => $1))", days
    )
    lines = (await read_health(database.url(), None)).attention
    told = [line for line in lines if "exchange rate" in line]
    assert told[0].startswith(said) if said else told == [], told


async def dispute_in_euros(db: Connection) -> None:
    """Use a currency."""
    await db.execute(
        "insert into fleet.disputes (provider, dispute_id, payment_id, amount_minor, currency,"
        " told_at) values ('stripe', 'dp_1', 1, 1, 'eur', now())"
    )
