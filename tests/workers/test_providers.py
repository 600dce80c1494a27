"""Providers as a process builds them: all of the table, each from its own settings."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tasks.providers import PROVIDERS
from tests.strings import ROOT, modules_that_spell
from workers.providers import build_providers
from workers.settings import Settings

if TYPE_CHECKING:
    from tasks.providers.provider import Provider


def test_each_provider_is_built_from_the_settings_under_its_name() -> None:
    built = build_providers(Settings())
    assert {name: type(provider) for name, provider in built.items()} == {
        provider.name: provider for provider in PROVIDERS
    }


def test_a_provider_gets_the_value_of_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def note(_self: object, *, webhook_secrets: tuple[str, ...], livemode: bool) -> None:
        given.update(webhook_secrets=webhook_secrets, livemode=livemode)

    (stripe,) = [provider for provider in PROVIDERS if provider.name == "stripe"]
    monkeypatch.setattr(stripe, "__init__", note)
    settings = Settings(stripe_webhook_secrets=("whsec_0123456789",), stripe_livemode=True)
    build_providers(settings)
    assert given == {"webhook_secrets": ("whsec_0123456789",), "livemode": True}


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_the_name_of_a_provider_stands_in_one_product_module(provider: type[Provider]) -> None:
    # By itself, as a part of a path, or quoted in SQL.
    name = re.compile(rf"(\A|[/']){provider.name}(\Z|[/'])")
    assert modules_that_spell(name) == {f"tasks/providers/{provider.name}/provider.py"}


def test_the_http_client_is_imported_only_where_a_provider_is_called() -> None:
    # It takes a tenth of a second and 10 MB, which web and the commands have no use for.
    program = (
        "import sys, workers.webhooks, workers.cli;"
        " from workers.providers import build_providers; from workers.settings import Settings;"
        " build_providers(Settings()); assert 'httpx' not in sys.modules;"
        " build_providers(Settings(stripe_api_key='rk_test_0123456789'));"
        " assert 'httpx' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(ROOT)})
