"""What is logged, and what must never be: secrets, passwords of addresses, contents of files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog
from pydantic import SecretStr, ValidationError

from libs.bus.api import Consumer, Delivery
from libs.bus.memory import MemoryBus
from libs.events.analyzer import FileAnalyzed
from libs.runtime.settings import DatabaseSettings
from libs.telemetry.logs import set_up_logs
from tests.contract.bus.scene import a_fact

CONTENT = "API_KEY = 'sk-live-4242'"
SECRET = "pa55word"
FORMS: list[Literal["json", "pretty"]] = ["json", "pretty"]


@pytest.fixture(autouse=True)
def _logs_of_this_test_only() -> Iterator[None]:
    kept = structlog.get_config()
    yield
    structlog.configure(**kept)
    structlog.contextvars.clear_contextvars()


def test_an_event_is_one_line_of_json_with_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(service="ledger", form="json", level="info")
    structlog.get_logger().info("file_analyzed", index=42, path="a\nb")
    structlog.get_logger().debug("unheard")

    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    said = json.loads(line)
    assert captured.out == ""
    assert (said["event"], said["service"], said["index"], said["level"]) == ("file_analyzed", "ledger", 42, "info")


@pytest.mark.parametrize("form", FORMS)
async def test_a_failing_handler_logs_where_but_neither_contents_nor_secrets(
    form: Literal["json", "pretty"], capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(service="analyzer", form=form, level="debug")
    settings = DatabaseSettings.model_validate(
        {"nats_url": f"nats://user:{SECRET}@host:4222", "database_url": f"postgresql://user:{SECRET}@host/db"}
    )
    bus = MemoryBus()

    async def analyse(delivery: Delivery) -> None:
        content, url = CONTENT, settings.database_url.get_secret_value()
        structlog.get_logger().warning("about_to_fail", settings=settings, fetched_from=[url], secret=SecretStr(SECRET))
        try:
            FileAnalyzed.model_validate({"analysis": content, "path": content})
        except ValidationError as error:
            raise ConnectionError(f"{url} refused") from error

    consumer = Consumer(name="analyze-s", filters=("scan.>",), max_attempts=1)
    async with bus.consume(consumer, analyse):
        await bus.publish([a_fact()])
        await bus.idle()

    said = capsys.readouterr().err
    assert "handler_failed" in said
    assert "in analyse" in said
    assert "postgresql://host/db refused" in said
    assert SECRET not in said
    assert CONTENT not in said
    assert "sk-live" not in said


@pytest.mark.parametrize("form", FORMS)
def test_only_user_and_password_are_cut_out_of_an_address(
    form: Literal["json", "pretty"], capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(service="differ", form=form, level="info")
    structlog.get_logger().info(
        "fetched", url="https://me:t0ken@example.org/a/b.git", nested={"urls": ("ssh://x:y@h/z",)}, plain="a@b c://d"
    )

    said = capsys.readouterr().err
    assert "https://example.org/a/b.git" in said
    assert "ssh://h/z" in said
    assert "a@b c://d" in said
    assert "t0ken" not in said
