"""Profiles and what the environment puts in their place."""

from __future__ import annotations

import pytest

from services.analyzer.engines.model.client import WIRES
from services.analyzer.engines.model.prices import find_prices
from services.analyzer.engines.model.profiles import PROFILES, ModelMisconfigured, is_local
from services.analyzer.engines.model.settings import ModelSettings, choose, is_configured, read_settings


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for profile in PROFILES.values():
        if profile.key_variable:
            monkeypatch.delenv(profile.key_variable, raising=False)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_can_be_asked_and_has_a_price(name: str) -> None:
    settings = ModelSettings(
        profile=name, key="k", name=PROFILES[name].model or "some", url=PROFILES[name].url or "http://[::1]/v1"
    )

    chosen = choose(settings, {})

    assert chosen.profile.structured in WIRES[chosen.profile.wire].modes
    assert chosen.profile.max_output_tokens < chosen.profile.context_tokens
    find_prices(chosen.profile, settings)


def test_grok_is_asked_where_nothing_is_said() -> None:
    chosen = choose(ModelSettings(), {"XAI_API_KEY": "secret"})

    assert (chosen.profile.name, chosen.profile.model) == ("xai", "grok-4.3")
    assert chosen.key is not None
    assert chosen.key.get_secret_value() == "secret"


def test_the_environment_replaces_what_the_profile_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PROFILE": "openai",
        "URL": "https://proxy.example/v1/",
        "KEY": "k",
        "NAME": "m",
        "CONTEXT": "9000",
        "MAX_OUTPUT": "900",
    }.items():
        monkeypatch.setenv(f"STRANDLINE_MODEL_{name}", value)

    profile = choose(read_settings(), {}).profile

    assert (profile.url, profile.model) == ("https://proxy.example/v1", "m")
    assert (profile.context_tokens, profile.max_output_tokens) == (9_000, 900)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"profile": "grok"}, "There is no profile 'grok'"),
        ({}, "xai needs a key: set STRANDLINE_MODEL_KEY or XAI_API_KEY."),
        ({"profile": "ollama"}, "needs a model: set STRANDLINE_MODEL_NAME"),
        ({"profile": "custom", "name": "m"}, "needs an address: set STRANDLINE_MODEL_URL"),
        ({"url": "localhost:11434"}, "STRANDLINE_MODEL_URL cannot be used"),
        ({"rpm": "0"}, "STRANDLINE_MODEL_RPM cannot be used"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(values: dict[str, str], sentence: str) -> None:
    with pytest.raises(ModelMisconfigured, match=sentence.replace("(", r"\(")):
        choose(read_settings(**values), {})


def test_a_provider_s_own_key_goes_to_no_other_address() -> None:
    elsewhere = ModelSettings(profile="xai", url="http://127.0.0.1:9/v1")

    assert choose(elsewhere, {"XAI_API_KEY": "secret"}).key is None


def test_the_key_is_shown_nowhere() -> None:
    settings = ModelSettings(key="top-secret")

    assert "top-secret" not in f"{settings!r} {settings} {choose(settings, {})!r}"
    with pytest.raises(ModelMisconfigured) as refused:
        read_settings(key="top-secret", rpm="top-secret")
    assert "top-secret" not in str(refused.value)


def test_a_model_is_used_by_itself_when_a_key_or_an_address_is_given() -> None:
    assert not is_configured(ModelSettings(), {})
    assert is_configured(ModelSettings(), {"XAI_API_KEY": "k"})
    assert is_configured(ModelSettings(url="http://127.0.0.1:1/v1"), {})


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1/v1", True),
        ("http://[::1]/v1", True),
        ("http://10.2.3.4/v1", True),
        ("http://vllm:8000/v1", True),
        ("https://api.x.ai/v1", False),
        ("https://8.8.8.8/v1", False),
    ],
)
def test_private_addresses_are_told_from_public_ones(url: str, local: bool) -> None:
    assert is_local(url) is local
