"""What the environment says of the model: a profile by name, and what to put in its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.analyzer.engines.model.profiles import DEFAULT, PROFILES, ModelMisconfigured, Profile

PREFIX = "STRANDLINE_MODEL_"


class ModelSettings(BaseSettings):
    """``STRANDLINE_MODEL_…``. What is not said is the profile's. Prices are USD a million tokens."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    profile: str | None = Field(None, description=f"One of {', '.join(PROFILES)}.")
    url: str | None = None
    key: SecretStr | None = None
    name: str | None = None
    price_input: Decimal | None = Field(None, ge=0)
    price_cached: Decimal | None = Field(None, ge=0)
    price_output: Decimal | None = Field(None, ge=0)
    rpm: float | None = Field(None, gt=0, description="Requests a minute that the provider allows.")
    tpm: float | None = Field(None, gt=0, description="Tokens a minute that the provider allows.")
    context: int | None = Field(None, ge=1_000)
    max_output: int | None = Field(None, ge=100)
    parallel: int = Field(64, ge=1, le=512, description="The most calls at once; connections are capped there.")
    connect_seconds: float = Field(10.0, gt=0)
    first_byte_seconds: float = Field(300.0, gt=0, description="The most until an answer begins.")
    answer_seconds: float = Field(600.0, gt=0, description="The most for one whole answer.")
    patience_seconds: float = Field(900.0, gt=0, description="The most that one question waits between its repeats.")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise ValueError("it has to be an address such as https://host/v1")
        return url


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The profile with everything that was said put in, and its key."""

    profile: Profile
    key: SecretStr | None


def read_settings(**values: Any) -> ModelSettings:
    """The settings of the environment, or the one sentence that says what is wrong with them."""
    try:
        return ModelSettings(**values)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        name = PREFIX + "_".join(map(str, problem["loc"])).upper().removeprefix(PREFIX)
        raise ModelMisconfigured(f"{name} cannot be used: {problem['msg']}.") from None


def choose(settings: ModelSettings, environ: Mapping[str, str] | None = None) -> Chosen:
    """What is to be asked. ``environ`` is where a profile's own key variable is looked for.

    Raises:
        ModelMisconfigured
    """
    known = _known(settings)
    profile = replace(
        known,
        url=(settings.url or known.url).rstrip("/"),
        model=settings.name or known.model,
        context_tokens=settings.context or known.context_tokens,
        max_output_tokens=settings.max_output or known.max_output_tokens,
    )
    if not profile.url:
        raise ModelMisconfigured(f"The profile {profile.name} needs an address: set {PREFIX}URL.")
    if not profile.model:
        raise ModelMisconfigured(f"The profile {profile.name} needs a model: set {PREFIX}NAME.")
    key = _key(settings, known, os.environ if environ is None else environ)
    if key is None and profile.key_variable and not profile.is_local:
        raise ModelMisconfigured(f"{profile.name} needs a key: set {PREFIX}KEY or {profile.key_variable}.")
    return Chosen(profile=replace(profile, pool=profile.pool or f"{profile.name} {profile.url}"), key=key)


def is_configured(settings: ModelSettings, environ: Mapping[str, str] | None = None) -> bool:
    """Whether anybody said that a model is to be used: what ``--engine auto`` asks. It may still be said wrongly."""
    if settings.profile or settings.url or settings.key:
        return True
    return _key(settings, PROFILES[DEFAULT], os.environ if environ is None else environ) is not None


def _known(settings: ModelSettings) -> Profile:
    name = settings.profile or ("custom" if settings.url else DEFAULT)
    if name not in PROFILES:
        raise ModelMisconfigured(f"There is no profile {name!r}: {PREFIX}PROFILE is one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def _key(settings: ModelSettings, known: Profile, environ: Mapping[str, str]) -> SecretStr | None:
    if settings.key is not None:
        return settings.key
    # A key of the provider's own goes to the provider's own address only.
    if not known.key_variable or (settings.url and settings.url.rstrip("/") != known.url):
        return None
    value = environ.get(known.key_variable, "").strip()
    return SecretStr(value) if value else None
