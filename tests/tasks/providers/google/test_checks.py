"""What `coinfleet doctor` finds in Google's account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.findings import Finding, Verdict
from tasks.providers.google import Google
from tasks.providers.google.checks.rows import GoogleChecks
from tests.provoking import noted
from workers.mock_providers.google import PACKAGE

if TYPE_CHECKING:
    from pathlib import Path

    from workers.mock_providers.google import GoogleServer

BROKEN, ATTENTION, OK = Verdict.BROKEN, Verdict.ATTENTION, Verdict.OK
NOT_CHECKED = Verdict.NOT_CHECKED


async def ask(google: GoogleServer, account: Path | None, **settings: Any) -> list[Finding]:
    """Run the check."""
    # Not by the provider: each of its parts would read the key, which takes a while.
    given: dict[str, Any] = {"packages": (PACKAGE,), "fetch_price": False} | settings
    row, _ = GoogleChecks(account=account, base=google.base, **given).rows()
    found = await row.ask()
    assert all(
        each.fix and each.code for each in noted(found) if each.verdict in (BROKEN, ATTENTION)
    )
    assert not any(
        secret in f"{each.what}{each.fix}" for each in found for secret in ("Jane", "ya29")
    )
    return found


def told(findings: list[Finding]) -> list[tuple[Verdict, str]]:
    return [(each.verdict, each.what) for each in findings]


async def test_without_a_key_nothing_is_asked(google: GoogleServer) -> None:
    ((verdict, what),) = told(await ask(google, None))
    assert (verdict, what) == (
        NOT_CHECKED,
        "no key: GOOGLE_SERVICE_ACCOUNT_FILE is not set here",
    )


async def test_an_account_with_its_rights_is_well(google: GoogleServer, account: Path) -> None:
    provider = Google(packages=(PACKAGE,), service_account_file=account, api_base=google.base)
    row, _ = provider.checks(web_origin=None)
    assert told(await row.ask()) == [(OK, f"{PACKAGE}: purchases may be read")]
    assert told(await ask(google, account, fetch_price=True))[1:] == [
        (OK, f"{PACKAGE}: orders may be read")
    ]


@pytest.mark.provokes("key_refused")
async def test_an_account_that_google_does_not_know_is_found(
    google: GoogleServer, account: Path
) -> None:
    google.token_faults = [400]
    ((verdict, what),) = told(await ask(google, account))
    assert (verdict, what.startswith("Google does not take our key")) == (BROKEN, True)


@pytest.mark.provokes("google_right_missing")
async def test_an_account_without_rights_in_the_app_is_found(
    google: GoogleServer, account: Path
) -> None:
    google.faults = ["forbidden"]
    ((verdict, what),) = told(await ask(google, account))
    assert (verdict, "may not read its purchases (403 userInsuffic" in what) == (BROKEN, True)


@pytest.mark.long
@pytest.mark.provokes("google_right_missing")
async def test_an_account_that_may_not_see_money_is_found_if_prices_are_asked_for(
    google: GoogleServer, account: Path
) -> None:
    google.may_see_money = False
    assert {each.verdict for each in await ask(google, account)} == {OK}
    _, (verdict, what) = told(await ask(google, account, fetch_price=True))
    assert (verdict, "GOOGLE_FETCH_PRICE" in what) == (BROKEN, True)


@pytest.mark.provokes("google_app_unknown")
async def test_an_app_that_google_does_not_know_is_found(
    google: GoogleServer, account: Path
) -> None:
    google.apps = {PACKAGE}
    found = told(await ask(google, account, packages=(PACKAGE, "com.example.unknown")))
    assert found[0][0] is OK
    verdict, what = found[1]
    assert (verdict, what.startswith("com.example.unknown: Google knows no such")) == (BROKEN, True)


@pytest.mark.long
@pytest.mark.parametrize("fault", ["unavailable", "throttled"])
async def test_a_google_that_is_away_is_not_checked(
    google: GoogleServer, account: Path, fault: Any
) -> None:
    google.faults = [fault]
    assert {each.verdict for each in await ask(google, account)} == {NOT_CHECKED}
