"""What the product imports is declared: a package that comes along with another may leave again."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("workers", "schedules", "tasks", "db")


def imported() -> set[str]:
    """The top-level modules of others that the product imports."""
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
    """The distributions that a production or an embedded install asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["embedded"]
    return {normal(re.split(r"[^A-Za-z0-9._-]", each)[0]) for each in asked}


def normal(name: str) -> str:
    """A distribution's name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_each_package_that_the_product_imports_is_declared() -> None:
    providers = packages_distributions()
    undeclared = {
        module
        for module in imported()
        if not declared() & {normal(each) for each in providers.get(module, [module])}
    }
    assert undeclared == set()
