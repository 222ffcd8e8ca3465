"""No secret is in what is sent; lines stay where they are."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analyzer.engines.model.asking import ask, sendable
from services.analyzer.engines.model.pieces import Piece
from services.analyzer.engines.model.redaction import redact
from services.analyzer.engines.static.languages import kind_of
from tests.unit.services.analyzer.engines.model.chat import FakeChatModel

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
URLSAFE = ALNUM + "-_"

KINDS: dict[str, tuple[str, str, int]] = {
    "aws": ("AKIA", UPPER, 16),
    "aws-session": ("ASIA", UPPER, 16),
    "github": ("ghp_", ALNUM, 36),
    "github-app": ("ghs_", ALNUM, 36),
    "github-fine": ("github_pat_", ALNUM, 82),
    "gitlab": ("glpat-", ALNUM, 20),
    "slack": ("xoxb-123456789012-", ALNUM, 24),
    "stripe": ("sk_live_", ALNUM, 24),
    "google": ("AIza", ALNUM, 35),
    "google-oauth": ("GOCSPX-", ALNUM, 28),
    "npm": ("npm_", ALNUM, 36),
    "pypi": ("pypi-AgEIcHlwaS5vcmc", ALNUM, 60),
    "twilio": ("SK", HEX, 32),
    "anthropic": ("sk-ant-api03-", ALNUM, 93),
    "xai": ("xai-", ALNUM, 80),
    "huggingface": ("hf_", string.ascii_letters, 34),
    "digitalocean": ("dop_v1_", HEX, 64),
    "shopify": ("shpat_", HEX, 32),
    "mailgun": ("key-", HEX, 32),
    "plain-random": ("", ALNUM, 40),
}
PLACES = {
    "python": ("a.py", 'API_TOKEN = "{}"\n'),
    "dictionary": ("a.py", 'config = {{"client_secret": "{}"}}\n'),
    "comment": ("a.py", "x = 1  # the secret is: {}\n"),
    "docstring": ("a.py", 'def f():\n    """Use token={} here."""\n'),
    "javascript": ("a.js", "const secret = '{}';\n"),
    "template": ("a.ts", "const apiKey = `{}`;\n"),
    "header": ("a.go", 'req.Header.Set("Authorization", "Bearer {}")\n'),
    "yaml": ("a.yml", "password: {}\n"),
    "dotenv": (".env", "SECRET_KEY={}\n"),
    "url": ("a.py", 'DSN = "postgres://admin:{}@db.internal/x"\n'),
    "xml": ("a.xml", "<password>{}</password>\n"),
    "test": ("tests/test_a.py", 'def test_a():\n    assert login(token="{}")\n'),
}


def a_secret(kind: str, seed: int) -> str:
    prefix, alphabet, length = KINDS[kind]
    return prefix + "".join(random.Random(f"{kind}{seed}").choices(alphabet, k=length))


def what_is_sent(path: str, content: str) -> str:
    text = sendable(content.encode(), kind_of(path, content.encode()))
    request = ask(text, Piece(start=1, end=len(text.lines)), findings=[], model=FakeChatModel())
    return request.system + request.user


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_planted_secret_is_sent(kind: str, place: str) -> None:
    path, frame = PLACES[place]
    secret = a_secret(kind, seed=1)

    sent = what_is_sent(path, "first = 1\n" + frame.format(secret) + "last = 2\n")

    assert secret not in sent
    assert secret[8:] not in sent
    assert "REDACTED_SECRET_1" in sent
    assert "|last = 2" in sent


@given(st.sampled_from(sorted(KINDS)), st.integers(2, 10_000), st.sampled_from(sorted(PLACES)))
@settings(max_examples=200, deadline=None)
def test_no_secret_of_any_value_is_sent(kind: str, seed: int, place: str) -> None:
    path, frame = PLACES[place]
    secret = a_secret(kind, seed)

    assert secret not in what_is_sent(path, frame.format(secret))


@pytest.mark.parametrize("end", ["-----END RSA PRIVATE KEY-----\n", ""])
def test_a_key_block_goes_as_a_whole_and_lines_stay(end: str) -> None:
    body = [a_secret("plain-random", n) + a_secret("plain-random", n + 50)[:24] for n in range(10)]
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(body) + "\n" + end
    text = f"a = 1\n{key}"

    clean, count = redact(text + ("b = 2\n" if end else ""))

    assert count == 1
    assert not any(line in clean for line in body)
    assert clean.split("\n")[0] == "a = 1"
    assert clean.count("\n") == text.count("\n") + bool(end)


def test_the_same_secret_has_the_same_placeholder() -> None:
    one, two = a_secret("github", 1), a_secret("github", 2)

    clean, count = redact(f"a = '{one}'\nb = '{two}'\nc = '{one}'\n")

    assert (clean, count) == ("a = 'REDACTED_SECRET_1'\nb = 'REDACTED_SECRET_2'\nc = 'REDACTED_SECRET_1'\n", 2)


@given(st.text(max_size=400))
def test_lines_stay_whatever_the_text(text: str) -> None:
    assert redact(text)[0].count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "line",
    [
        "token = request.headers.get('X-Token')",
        "password = getpass.getpass()",
        "secret: str = Field(min_length=12)",
        'token_url = "https://example.com/oauth"',
        "password: ${DB_PASSWORD}",
        "self.token = settings.token",
        "def test_that_a_long_name_with_HTTP_in_it_is_no_secret_at_all():",
        "digest = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'",
        "api_key_name = 'authorization'",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redact(line) == (line, 0)


def test_hostile_texts_take_no_time_to_speak_of() -> None:
    for text in ("-----BEGIN PRIVATE KEY-----\n" * 10_000, "secret" * 50_000, "a" * 300_000, "://a:" * 50_000):
        assert redact(text)[0].count("\n") == text.count("\n")
