"""Mock providers beside a fleet: never near a real database, and without its passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.mock_providers.table import MOCKS
from workers.processes import PROCESSES
from workers.settings import API_KEYS, SettingsFault
from workers.supervisor.mocks import Mocks
from workers.supervisor.output import Output


def test_each_mock_has_a_port_of_its_own(tmp_path: Path) -> None:
    mocks = Mocks(tmp_path, {})
    assert [*mocks.ports] == [mock.name for mock in MOCKS]
    assert len({*mocks.ports.values()}) == len(MOCKS)


def test_a_real_database_gets_no_mock_provider(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match="DATABASE_URL is set: mock providers are for"):
        Mocks(tmp_path, {"DATABASE_URL": "postgresql://owner@db/coinfleet"})


def test_a_key_of_a_real_provider_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault) as fault:
        Mocks(tmp_path, {"STRIPE_API_KEY": "rk_live_hidden", "STRIPE_API_BASE": "https://x"})
    assert fault.value.faults == (
        "STRIPE_API_BASE is set: leave it unset with mock providers",
        "STRIPE_API_KEY is set: leave it unset with mock providers",
    )


def test_the_process_knows_no_password_and_no_key(tmp_path: Path) -> None:
    mocks = Mocks(tmp_path, {})
    addresses = {process.address for process in PROCESSES.values()}
    fleet = dict.fromkeys({*addresses, *API_KEYS, "STRIPE_WEBHOOK_SECRETS"}, "secret")
    process = mocks.make_process(fleet, "http://127.0.0.1:8000", Output(width=9))
    assert process._environment.keys() == {"STRIPE_WEBHOOK_SECRETS"}
    assert not [word for word in process._command if "secret" in word]
