"""`coinfleet doctor` as it is typed: its exit code, its JSON, and what it never shows."""

from __future__ import annotations

import asyncio
import json
import socket
from threading import Event, current_thread
from typing import TYPE_CHECKING, Any

import pytest

from tasks.findings import Finding, Verdict, attention, broken, not_checked, ok
from tests.conditions import DEADLINE_S
from tests.provoking import case, note, noted
from tests.workers.cli.doctor.findings import context
from workers.cli.doctor.command import examine_all
from workers.cli.doctor.elsewhere import all_checks
from workers.cli.doctor.examining import Check, Examined, examine
from workers.cli.doctor.report import headline, is_healthy
from workers.cli.doctor.table import HERE, REACH
from workers.cli.doctor.threads import LooseThreads
from workers.mock_providers.google import PACKAGE, account_file
from workers.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clusters import Database
    from tests.workers.cli.conftest import Typed

SECRETS = {
    "STRIPE_WEBHOOK_SECRETS": "whsec_that_nobody_may_see_1",
    "STRIPE_API_KEY": "rk_test_that_nobody_may_see",
    "REDIS_URL": "redis://:that-nobody-may-see@127.0.0.1:1/0",
    "SUPABASE_JWT_SECRET": "that-nobody-may-see-0123456789abcdef",
}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No fleet runs on the data folder."""
    monkeypatch.setenv("COINFLEET_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:1")


async def test_a_fleet_that_stands_still_needs_a_person(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    ended = await typed("doctor", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["healthy"], ended.err) == (1, False, "")
    assert "processes: no worker reports: nothing is applied" in told["attention"]
    checks = {each["check"]: each for each in told["checks"]}
    assert checks["database"]["verdict"] == "ok"
    assert checks["stripe key"]["findings"][0]["verdict"] == "not checked"
    assert checks["queue"]["findings"][0]["fix"]
    for part in ("that_nobody_may_see", "that-nobody-may-see"):
        assert part not in ended.out


@pytest.mark.long
async def test_a_person_is_told_the_same_without_secrets(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    shown = await typed("doctor", "--all")
    assert shown.code == 1
    assert "✗ processes: who reports?" in shown.out
    for part in ("that_nobody_may_see", "that-nobody-may-see"):
        assert part not in shown.out


async def test_a_database_that_is_away_is_told_by_the_exit_code(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(type(database), "url", lambda *_: "postgresql://x:a-password@127.0.0.1:1/x")
    ended = await typed("doctor", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["healthy"]) == (2, False)
    checks = {each["check"]: each["verdict"] for each in told["checks"]}
    assert checks["database"] == "broken"
    assert {checks[row.name] for row in HERE if row.asks_database} == {"not checked"}
    assert "a-password" not in ended.out


async def test_without_any_address_all_that_can_be_checked_is(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(type(database), "url", lambda *_: "")
    ended = await typed("doctor")
    assert ended.code == 2
    assert ended.out.startswith("✗ the database was not asked; ")
    assert "no database is known here" in ended.out


async def test_what_is_not_checked_for_one_cause_is_told_once(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(type(database), "url", lambda *_: "postgresql://x:x@127.0.0.1:1/x")
    shown = await typed("doctor")
    assert shown.out.count("the database can't be asked") == 1
    assert "? schema, grants, passwords," in shown.out


@pytest.mark.provokes("settings_unreadable")
async def test_settings_that_cannot_be_read_are_findings(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "many")
    monkeypatch.setenv("STRIPE_API_KEY", "whsec_in-the-wrong-place")
    ended = await typed("doctor", "--json")
    told = json.loads(ended.out)
    note(each["code"] for check in told["checks"] for each in check["findings"])
    assert ended.code == 2
    assert sorted(line.split(":")[1].strip() for line in told["attention"]) == [
        "PORT",
        "STRIPE_API_KEY",
    ]
    assert "wrong-place" not in ended.out


async def run(*findings: Finding) -> list[Finding]:
    """A check that finds these."""

    async def check(_: Any) -> list[Finding]:
        return list(findings)

    (_, examined) = await examine([Check("a", "?", check)], context(), reach=REACH)
    return examined.findings


async def test_the_worst_stands_first_and_a_check_always_says_something() -> None:
    found = await run(
        ok("a"), not_checked("b"), broken("c", "c", fix="x"), attention("d", "d", fix="x")
    )
    assert [each.verdict for each in found] == list(Verdict)
    assert [each.verdict for each in await run()] == [Verdict.OK]


@pytest.mark.parametrize(
    ("error", "verdict", "said"),
    [
        (TimeoutError(), Verdict.NOT_CHECKED, "no answer within 5 s"),
        case(
            "check_failed",
            *(ValueError("a secret"), Verdict.BROKEN, "it can't be found out: ValueError"),
        ),
        case(
            "check_failed",
            *(RuntimeError("a secret"), Verdict.BROKEN, "it can't be found out: RuntimeError"),
        ),
    ],
)
async def test_a_check_that_fails_is_a_finding_and_the_others_go_on(
    error: Exception, verdict: Verdict, said: str
) -> None:
    async def fails(_: Any) -> list[Finding]:
        raise error

    async def works(_: Any) -> list[Finding]:
        return [ok("well")]

    rows = [Check("a", "?", fails), Check("b", "?", works)]
    _, failed, well = await examine(rows, context(), reach=REACH)
    noted(failed.findings)
    assert [(each.verdict, each.what) for each in failed.findings] == [(verdict, said)]
    assert well.verdict is Verdict.OK


def test_the_headline_counts_what_needs_a_person() -> None:
    def examined(*findings: Finding) -> Examined:
        return Examined(check="a", looks_at="?", findings=list(findings))

    well = [examined(ok("a")), examined(not_checked("b"))]
    assert (is_healthy(well), headline(well)) == (True, "nothing is wrong; 1 thing not checked")
    ill = [
        *well,
        examined(broken("c", "c", fix="x"), ok("d")),
        examined(attention("e", "e", fix="x")),
    ]
    said = "2 findings need a person, 1 broken; 1 thing not checked"
    assert (is_healthy(ill), headline(ill)) == (False, said)


async def test_each_row_is_run_and_each_has_a_name_of_its_own(tmp_path: Path) -> None:
    settings = Settings(coinfleet_data_dir=tmp_path)
    examined = await examine_all(settings, {})
    names = [each.check for each in examined]
    assert len(set(names)) == len(names)
    assert {row.name for row in (*HERE, REACH)} < set(names)
    assert {row.name for row in all_checks([], web_origin=None)} < set(names)
    assert {each.verdict for each in examined} <= {Verdict.OK, Verdict.NOT_CHECKED}


def test_a_thread_that_hangs_does_not_keep_the_command_from_ending() -> None:
    """As one that looks up a name, while the name server is silent."""
    let_go, ended = Event(), Event()
    waits_at_exit = []

    def hang() -> None:
        waits_at_exit.append(not current_thread().daemon)
        let_go.wait(DEADLINE_S)
        ended.set()

    async def ask() -> str:
        asyncio.get_running_loop().set_default_executor(LooseThreads())
        hanging = asyncio.create_task(asyncio.to_thread(hang))
        said = await asyncio.to_thread(str.upper, "done")
        hanging.cancel()
        return said

    try:
        assert asyncio.run(ask()) == "DONE"
        assert (waits_at_exit, ended.is_set()) == ([False], False)
    finally:
        let_go.set()
    assert ended.wait(DEADLINE_S)


@pytest.mark.long
@pytest.mark.parametrize("queue", ["redis_url", "broker_url"])
async def test_servers_that_never_answer_are_findings(tmp_path: Path, queue: str) -> None:
    """Nothing waits for long, and nothing is raised: a database, a queue, and two providers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = Settings(
            coinfleet_data_dir=tmp_path,
            database_url=f"postgresql://x:a-password@{place}/x",
            web_database_url=f"postgresql://x:a-password@{place}/x",
            google_push_subscription="projects/shop/subscriptions/play",
            google_pubsub_base=f"http://{place}",
            web_origin=f"http://{place}",
            stripe_api_key="rk_test_a_password1",
            stripe_api_base=f"http://{place}",
            google_packages=(PACKAGE,),
            google_service_account_file=account_file(tmp_path, f"http://{place}"),
            google_api_base=f"http://{place}",
            **{queue: f"{'redis' if queue == 'redis_url' else 'amqp'}://u:a-password@{place}"},  # type: ignore[arg-type]
        )
        examined = await examine_all(settings, {})
    checks = {each.check: each.verdict for each in examined}
    assert checks["database"] in (Verdict.BROKEN, Verdict.NOT_CHECKED)
    codes = note(finding.code for each in examined for finding in each.findings)
    assert "check_failed" not in codes
    assert {"database_away", "queue_unreachable"} <= codes
    of_providers = ("stripe key", "stripe endpoint", "google account", "google subscription")
    for name in ("public address", *of_providers):
        assert checks[name] is Verdict.NOT_CHECKED
    said = " ".join(finding.what for each in examined for finding in each.findings)
    assert "a-password" not in said
