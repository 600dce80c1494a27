"""The supervisor's parts; the whole of it is proved in journeys/."""

from __future__ import annotations

from pathlib import Path

import pytest

import workers
from workers.settings import DEVELOPMENT_SECRETS
from workers.supervisor.environment import development_secrets, environment_of
from workers.supervisor.procfile import read_procfile
from workers.supervisor.restarts import Restarts

ADDRESSES = {
    "release": "DATABASE_URL",
    "web": "WEB_DATABASE_URL",
    "worker": "WORKER_DATABASE_URL",
    "scheduler": "SCHEDULER_DATABASE_URL",
}
FLEET = {
    **{name: f"postgresql://{process}@db" for process, name in ADDRESSES.items()},
    **DEVELOPMENT_SECRETS,
    "REDIS_URL": "redis://queue",
    "HOME": "/home/operator",
}


def test_each_further_death_waits_longer() -> None:
    restarts = Restarts()
    delays = [restarts.after_death(now) for now in (0.0, 1.0, 2.0, 3.0)]
    assert None not in delays
    assert delays == sorted(set(delays), key=lambda each: each or 0)


def test_the_fifth_death_within_a_minute_is_one_too_many() -> None:
    restarts = Restarts()
    for now in (0.0, 10.0, 20.0, 30.0):
        assert restarts.after_death(now) is not None
    assert restarts.after_death(59.9) is None


def test_deaths_longer_ago_than_a_minute_are_forgotten() -> None:
    restarts = Restarts()
    first = restarts.after_death(0.0)
    for now in (10.0, 20.0, 30.0):
        restarts.after_death(now)
    assert restarts.after_death(60.0) is not None
    assert restarts.after_death(1000.0) == first


def test_the_procfile_names_the_four_processes_and_each_has_a_module() -> None:
    commands = read_procfile()
    assert list(commands) == ["release", "web", "worker", "scheduler"]
    for command in commands.values():
        assert command[:2] == ["python", "-m"]
        folder = Path(workers.__file__).parent.parent
        assert (folder / f"{command[2].replace('.', '/')}.py").is_file()


def test_comments_and_blanks_in_a_procfile_are_no_processes(tmp_path: Path) -> None:
    file = tmp_path / "Procfile"
    file.write_text("# clock: no\n\nweb: serve --name 'a b'\n")
    assert read_procfile(file) == {"web": ["serve", "--name", "a b"]}


@pytest.mark.parametrize("process", ADDRESSES)
def test_a_process_is_told_its_own_database_address_alone(process: str) -> None:
    told = environment_of(process, FLEET)
    assert [name for name in told if name.endswith("DATABASE_URL")] == [ADDRESSES[process]]
    assert told["REDIS_URL"] == FLEET["REDIS_URL"]
    assert told["HOME"] == FLEET["HOME"]


def test_a_process_without_an_address_of_its_own_is_told_the_owners() -> None:
    fleet = {name: each for name, each in FLEET.items() if name != "WORKER_DATABASE_URL"}
    told = environment_of("worker", fleet)
    assert [name for name in told if name.endswith("DATABASE_URL")] == ["DATABASE_URL"]


def test_webhook_secrets_are_told_to_web_alone() -> None:
    for process in ADDRESSES:
        told = DEVELOPMENT_SECRETS.keys() & environment_of(process, FLEET).keys()
        assert told == (DEVELOPMENT_SECRETS.keys() if process == "web" else set())


def test_development_secrets_stand_in_for_unset_ones_only() -> None:
    secrets = development_secrets({"STRIPE_WEBHOOK_SECRETS": "whsec_mine"})
    assert secrets.keys() == {"APP_WEBHOOK_SECRETS"}


def test_a_real_database_gets_no_development_secret() -> None:
    assert development_secrets({"DATABASE_URL": "postgresql://db"}) == {}
