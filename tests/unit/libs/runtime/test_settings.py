"""Settings that every service has: what they accept, and that they keep their secrets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from libs.runtime.settings import DatabaseSettings


@pytest.mark.parametrize("nats", ["nats://h:4222", "tls://h", "nats://a:1,nats://b:2", "wss://u:p@h"])
@pytest.mark.parametrize("database", ["postgresql://u:p@h/d", "postgres:///d?host=/run"])
def test_addresses_of_servers_are_accepted(nats: str, database: str) -> None:
    settings = DatabaseSettings.model_validate({"nats_url": nats, "database_url": database})

    assert settings.nats_url.get_secret_value() == nats


@pytest.mark.parametrize("wrong", ["", "s3cret", "http://s3cret", "nats://", "nats://a,s3cret"])
def test_what_is_no_address_is_refused_without_being_shown(wrong: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        DatabaseSettings.model_validate({"nats_url": wrong, "database_url": wrong})

    assert refusal.value.error_count() == 2
    assert "s3cret" not in str(refusal.value)


def test_settings_do_not_show_their_secrets() -> None:
    settings = DatabaseSettings.model_validate({"nats_url": "nats://u:s3cret@h", "database_url": "postgres://s3cret@h"})

    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
