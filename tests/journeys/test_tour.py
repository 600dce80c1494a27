"""README's tour with mock providers, typed line by line: a refund travels, the app hears of it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tasks.providers.app import App
from tests.journeys.fleet_run import ROOT, FleetRun, await_true
from workers.mock_providers.app_listener import SECRET
from workers.mock_providers.stripe import KEY
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (ROOT / "README.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"```\n(make run MOCK_PROVIDERS=1.*?)```", README, re.DOTALL)
# Long, and a command of its own: `make tour`, which .ci/run runs too.
pytestmark = pytest.mark.long
LINES = [line.partition("#")[0].strip() for line in BLOCK.splitlines()]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetRun]:
    """The first terminal, ready."""
    folder = tmp_path_factory.mktemp("tour") / "data"
    with FleetRun(folder, environment={"MOCK_PROVIDERS": "1"}) as run:
        run.wait_until_ready()
        yield run
        run.stop()


def typed(fleet: FleetRun, line: str, *, code: int = 0) -> str:
    """Type a line in the second terminal, which exits with `code`; return what it prints."""
    done = subprocess.run(
        shlex.split(line),
        cwd=ROOT,
        env={"COINFLEET_DATA_DIR": str(fleet.folder.path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def heard(fleet: FleetRun) -> list[dict[str, Any]]:
    """What the app has heard."""
    port = fleet.fleet.mock_ports[App.name]
    found: list[dict[str, Any]] = httpx.get(f"http://127.0.0.1:{port}/heard").json()
    return found


def has_heard(fleet: FleetRun, kind: str, purchase: str) -> bool:
    return any(
        message["type"] == kind and message["data"].get("purchase_id") == int(purchase)
        for message in heard(fleet)
    )


@pytest.mark.requirement("H1")
def test_the_lines_of_the_readme_do_what_they_say(fleet: FleetRun) -> None:
    first, tour, held, show, approve, reject, show_again, asked, answer, status = LINES
    assert first == "make run MOCK_PROVIDERS=1"
    assert len(LINES) <= 10

    report = typed(fleet, tour)
    assert "✓ Each event has one outcome, and every coin is accounted for." in report
    assert "proofs of the books, none broken" in report
    # Google was asked of its purchases, and told that they are granted.
    fleet.wait_for("google.fetch_purchase")
    fleet.wait_for("google.consume")
    approved, rejected = re.findall(r"purchases (?:approve|reject) (\d+) ", report)
    for purchase in (approved, rejected):
        assert has_heard(fleet, "purchase.held", purchase)

    # 1: something needs a person.
    listed = typed(fleet, held, code=1).splitlines()
    assert {approved, rejected} <= {line.split()[0] for line in listed}
    assert "needs_approval" in typed(fleet, show.replace("ID", approved))
    typed(fleet, approve.replace("ID", approved))
    typed(fleet, reject.replace("ID", rejected))
    await_true(lambda: has_heard(fleet, "purchase.credited", approved))
    await_true(lambda: has_heard(fleet, "purchase.rejected", rejected))
    assert not has_heard(fleet, "purchase.credited", rejected)
    # The app hears of the decision at once; the refund takes its way.
    await_true(
        lambda: "refunded" in typed(fleet, show_again.replace("ID", rejected)).splitlines()[0]
    )
    questions = typed(fleet, asked)
    assert "UNSATISFIED_WITH_PURCHASE" in questions
    (question,) = re.findall(r"^(\d+): purchase", questions, re.MULTILINE)
    assert "apple is told decline" in typed(fleet, answer.replace("ID", question))
    fleet.wait_for("apple.answer_consumption")
    fleet.wait_for("/inApps/v2/transactions/consumption/")
    assert "healthy" in typed(fleet, status)
    # The first terminal has shown the way of the refund.
    for event in ('"asked"', '"webhook_sent"', '"app_heard"'):
        fleet.wait_for(event)


def test_the_doctor_finds_nothing_wrong(fleet: FleetRun) -> None:
    """With a key of each provider; and a test notification of Apple's has come all the way."""
    told = json.loads(typed(fleet, ".venv/bin/coinfleet doctor --json"))
    checks = {each["check"]: each["verdict"] for each in told["checks"]}
    left = {name for name, verdict in checks.items() if verdict != "ok"}
    # Nobody has said under which addresses others reach a fleet of this machine.
    assert left == {"public address", "console address", "stripe endpoint"}
    assert {checks[name] for name in left} == {"not checked"}
    assert checks["apple notification"] == "ok"


def test_no_secret_and_nothing_of_a_person_was_logged(fleet: FleetRun) -> None:
    """All that the fleet has logged of the tour: receiving, deciding, calls, the app."""
    logged = "\n".join(
        line for line in fleet.lines if "is unset, for development it is" not in line
    )
    assert '"webhook_sent"' in logged
    for secret in (
        *(KEY, SECRET, DEVELOPMENT_SECRETS["STRIPE_WEBHOOK_SECRETS"]),
        *(DEVELOPMENT_SECRETS["APP_WEBHOOK_SECRETS"], DEVELOPMENT_SECRETS["SUPABASE_JWT_SECRET"]),
        # What begins an access token, stands in purchase tokens, and in objects of Stripe.
        *("eyJ", "AO-J1Oz", "viewer@example.com", "203.0.113.", "Mozilla"),
        *("PRIVATE KEY", "postgresql://", "Bearer "),
    ):
        assert secret not in logged, secret


def test_a_mock_that_is_killed_comes_back_at_the_same_address(fleet: FleetRun) -> None:
    before = fleet.fleet.mock_ports
    fleet.process("workers.mock_providers").kill()
    fleet.wait_for("mocks died (SIGKILL), starting it again")
    fleet.wait_for('"mocks_started"', times=2)
    assert fleet.fleet.mock_ports == before
    assert heard(fleet) == []
