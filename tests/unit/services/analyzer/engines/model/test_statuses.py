"""What a status means: come again, ask otherwise, or mend the settings; nothing of a body is repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from services.analyzer.engines.model.circuit import FAILURES, SHORTEST, Circuit
from services.analyzer.engines.model.profiles import PROFILES
from services.analyzer.engines.model.statuses import judge, retry_after

XAI = PROFILES["xai"]


def an_error(message: str, code: str = "some_code") -> bytes:
    return json.dumps({"error": {"message": message, "code": code}}).encode()


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "This model's maximum context length is 8192 tokens", "too_long"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", "too_long"),
        (413, "", "too_long"),
        (400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported", "weaker_mode"),
        (400, "output_config.format: not supported by this model", "weaker_mode"),
        (400, "bad temperature", "refused"),
        (401, "", "refused"),
        (403, "", "refused"),
        (404, "", "refused"),
        (301, "", "refused"),
        (429, "slow down", "throttled"),
        (429, "You exceeded your current quota: insufficient_quota", "refused"),
        (408, "", "failing"),
        (500, "", "failing"),
        (503, "", "failing"),
        (529, "overloaded", "failing"),
    ],
)
def test_each_status_has_its_answer(status: int, message: str, kind: str) -> None:
    assert judge(status, {}, an_error(message), XAI).kind == kind


def test_a_refusal_says_the_mend_and_neither_key_nor_text() -> None:
    said = judge(401, {}, an_error("Incorrect API key provided: sk-secret", "invalid_api_key"), XAI).said
    odd = judge(401, {}, an_error("", "sk-secret"), XAI).said

    assert said.startswith(
        "xai answered 401 (invalid_api_key): the key is not accepted; set STRANDLINE_MODEL_KEY or XAI"
    )
    assert "secret" not in said
    assert "secret" not in odd


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "99999999"}, 3_600.0),
        ({"retry-after": "Mon, 01 Jan 2024 00:00:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1.2.3"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_what_the_provider_asks_us_to_wait_is_understood(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_moment_to_come_again_is_a_wait() -> None:
    wait = retry_after({"retry-after": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)})

    assert wait is not None
    assert 3_000 < wait <= 3_600


def test_a_circuit_opens_after_failures_in_a_row_and_closes_by_itself() -> None:
    circuit = Circuit()
    for _ in range(FAILURES):
        assert circuit.wait(0.0) == 0
        circuit.failed(0.0)

    assert circuit.wait(0.0) == SHORTEST
    assert circuit.wait(SHORTEST) == 0  # one tries
    assert circuit.wait(SHORTEST) > 0  # the others wait for it
    circuit.succeeded()
    assert circuit.wait(SHORTEST) == 0


def test_a_circuit_that_fails_again_stays_open_longer() -> None:
    circuit = Circuit()
    for _ in range(FAILURES + 1):
        circuit.failed(0.0)

    assert circuit.wait(0.0) == 2 * SHORTEST


def test_a_success_between_failures_keeps_the_circuit_closed() -> None:
    circuit = Circuit()
    for _ in range(3 * FAILURES):
        circuit.failed(0.0)
        circuit.succeeded()

    assert circuit.wait(0.0) == 0
