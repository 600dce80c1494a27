"""An installed package holds all that its commands read, also without a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.journeys.fleet_run import free_port
from tests.workers.processes import ROOT
from workers.supervisor.procfile import read_procfile

PACKAGES = ("workers", "tasks", "schedules", "db")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-build-isolation", "--no-deps", "--no-index", "-q", "-w", folder]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, ROOT], check=True, cwd=folder)
    (built,) = folder.glob("coinfleet-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the package as pip unpacks it, and nothing else of the repository."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def python(
    installed: Path, program: str, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program on the installed copy, in a folder outside the checkout."""
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=installed.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


COINFLEET = "from workers.cli import main; main()"


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    tracked = subprocess.check_output(["git", "ls-files", *PACKAGES], cwd=ROOT, text=True).split()
    held = zipfile.ZipFile(wheel).namelist()
    assert set(tracked) - set(held) == set()


def test_an_installed_package_starts_what_the_procfile_of_a_checkout_does(installed: Path) -> None:
    program = (
        "import json, workers; from workers.supervisor.procfile import read_procfile;"
        " print(json.dumps([workers.__file__, read_procfile()]))"
    )
    result = python(installed, program)
    assert result.stderr == ""
    where, commands = json.loads(result.stdout)
    assert where == str(installed / "workers/__init__.py")
    assert commands == read_procfile(ROOT / "Procfile")
    assert list(commands) == list(read_procfile(ROOT / "Procfile"))


def test_an_installed_package_exports_its_schema(installed: Path, tmp_path: Path) -> None:
    result = python(installed, COINFLEET, "migrate", "--export", str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    assert list(tmp_path.glob("*.sql"))


@pytest.mark.long
def test_an_installed_package_runs_the_whole_fleet(installed: Path, tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", COINFLEET, "up"],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(installed),
            "COINFLEET_DATA_DIR": str(tmp_path / "data"),
            "PORT": str(port),
            "CONSOLE_PORT": str(free_port()),
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as up:
        assert up.stdout is not None
        said: list[str] = []
        for line in up.stdout:
            said.append(line)
            if line.startswith("coinfleet is ready") or len(said) > 200:
                break
        up.terminate()
        said += up.stdout
        up.wait(20)
    assert f"coinfleet is ready: http://127.0.0.1:{port}\n" in said, "".join(said)
