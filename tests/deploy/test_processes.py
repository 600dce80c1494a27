"""Each way to deploy starts every process of PROCESSES, and gives it settings that exist."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from db.release import rules
from workers.processes import PROCESSES, Process
from workers.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
SETTINGS = {name.upper() for name in Settings.model_fields}
EVERY = pytest.mark.parametrize("process", PROCESSES.values(), ids=str)


def compose() -> dict[str, Any]:
    """The services of the compose file."""
    text = (DEPLOY / "compose" / "compose.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def manifests() -> list[dict[str, Any]]:
    """All objects for Kubernetes."""
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [each for file in files for each in yaml.safe_load_all(file.read_text())]


def containers() -> dict[str, dict[str, Any]]:
    """The containers of the manifests, by name."""
    pods = [
        each["spec"]["template"]["spec"]
        for each in manifests()
        if "template" in each.get("spec", {})
    ]
    return {container["name"]: container for pod in pods for container in pod["containers"]}


def command_of(process: Process) -> list[str]:
    return ["python", "-m", process.module]


@EVERY
def test_compose_starts_it(process: Process) -> None:
    service = compose()[process.name]
    assert service["command"] == command_of(process)
    assert service["read_only"] is True
    # It knows its own address of the database, and no other's.
    known = [name for name in service["environment"] if name.endswith("DATABASE_URL")]
    assert known == [process.address]


@EVERY
def test_kubernetes_starts_it(process: Process) -> None:
    container = containers()[process.name]
    assert container["command"] == command_of(process)
    assert container["envFrom"] == [{"secretRef": {"name": f"coinfleet-{process.name}"}}]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


@EVERY
def test_systemd_starts_it(process: Process) -> None:
    (unit,) = (DEPLOY / "systemd").glob(f"coinfleet-{process.name}*.service")
    text = unit.read_text(encoding="utf-8")
    assert f"ExecStart=/opt/coinfleet/bin/python -m {process.module}\n" in text
    assert f"EnvironmentFile=/etc/coinfleet/{process.name}.env\n" in text


def test_the_target_of_systemd_starts_only_what_is_enabled() -> None:
    """One machine may have only a worker: what is not enabled there has no settings there."""
    target = (DEPLOY / "systemd" / "coinfleet.target").read_text(encoding="utf-8")
    assert re.findall(r"coinfleet-\w+", target) == []
    for process in PROCESSES.values():
        (unit,) = (DEPLOY / "systemd").glob(f"coinfleet-{process.name}*.service")
        text = unit.read_text(encoding="utf-8")
        assert ("WantedBy=coinfleet.target\n" in text) is process.is_long_lived
        assert ("PartOf=coinfleet.target\n" in text) is process.is_long_lived


@EVERY
def test_what_stops_it_waits_for_longer_than_it_takes(process: Process) -> None:
    """No process takes longer than 10 s to stop."""
    if not process.is_long_lived:
        return
    pods = {
        pod["containers"][0]["name"]: pod["terminationGracePeriodSeconds"]
        for each in manifests()
        if each["kind"] == "Deployment" and (pod := each["spec"]["template"]["spec"])
    }
    assert pods[process.name] > 10
    assert compose()[process.name]["stop_grace_period"] == "15s"
    (unit,) = (DEPLOY / "systemd").glob(f"coinfleet-{process.name}*.service")
    assert "TimeoutStopSec=15\n" in unit.read_text()


def test_each_setting_that_is_given_exists() -> None:
    ours = (compose()[name]["environment"] for name in PROCESSES)
    given = {name for environment in ours for name in environment}
    given |= {item["name"] for each in containers().values() for item in each.get("env", ())}
    assert given - SETTINGS == set()


def test_compose_gives_the_release_each_rule_that_it_puts_in_force() -> None:
    parameters = list(inspect.signature(rules.configure).parameters)[1:]
    wanted = {name.upper() for name in parameters} - {"APP_IS_TOLD"} | {"APP_EVENTS_URL"}
    assert wanted - set(compose()["release"]["environment"]) == set()


@EVERY
def test_kubernetes_gives_each_process_files_of_its_own(process: Process) -> None:
    """None sees the key of another; without files the Secret may be missing."""
    pods = [
        each["spec"]["template"]["spec"]
        for each in manifests()
        if "template" in each.get("spec", {})
    ]
    (pod,) = (pod for pod in pods if pod["containers"][0]["name"] == process.name)
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert mount == {"name": "files", "mountPath": "/etc/coinfleet", "readOnly": True}
    secret = {"secretName": f"coinfleet-{process.name}-files", "optional": True}
    assert pod["volumes"] == [{"name": "files", "secret": secret}]


def test_what_systemd_hides_from_a_process_is_no_example_of_a_file() -> None:
    """/etc/coinfleet is root's alone there, and the processes read such files themselves."""
    page = (DEPLOY.parent / "docs" / "deploying.md").read_text(encoding="utf-8")
    assert "install -d -m 0700 /etc/coinfleet" in page
    assert re.findall(r"(?:sslrootcert|ssl_ca_certs)=/etc/coinfleet", page) == []


def test_each_password_that_compose_asks_for_stands_in_its_example() -> None:
    text = (DEPLOY / "compose" / "compose.yml").read_text(encoding="utf-8")
    example = (DEPLOY / "compose" / "env.example").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert asked == set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))


def test_the_autoscaler_asks_for_what_exists() -> None:
    (scaled,) = (each for each in manifests() if each["kind"] == "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["query"] == "select fleet.backlog_seconds()"
    assert scaled["spec"]["scaleTargetRef"]["name"] == "coinfleet-worker"
