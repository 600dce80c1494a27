"""Providers as a process builds them: all of the table, each from its own settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tasks.providers import PROVIDERS
from tests.strings import modules_that_spell
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
