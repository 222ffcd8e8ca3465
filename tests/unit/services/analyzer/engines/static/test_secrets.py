"""Credentials are found, told apart from placeholders, and never repeated."""

from __future__ import annotations

import pytest

from libs.events.analyzer import Severity
from services.analyzer.engines.static.drafts import Draft
from services.analyzer.engines.static.languages import Kind
from services.analyzer.engines.static.secrets import PATTERNS, secrets

# Put together here, so that no scanner takes this file for a leak.
R = "q7Zp2Lk9Xv4Tn8Bw3Md6Hs1Fy5Gc0JrQeUaK"
PLANTED = {
    "secrets/aws-access-key": "AKIA" + "QWERTZUIOPASDFGH",
    "secrets/github-token": "ghp_" + R,
    "secrets/github-fine-grained": "github_pat_" + (R * 3)[:82],
    "secrets/gitlab-token": "glpat-" + R[:20],
    "secrets/slack-token": "xoxb-" + "748291045512-" + R[:24],
    "secrets/slack-webhook": "https://hooks.slack.com/services/" + "T0A8B7C6D/B9E5F4G3H/" + R[:24],
    "secrets/stripe-key": "sk_live_" + R[:24],
    "secrets/google-api-key": "AIza" + R[:35],
    "secrets/google-oauth-secret": "GOCSPX-" + R[:28],
    "secrets/private-key": "-----BEGIN RSA PRIVATE KEY-----\n" + R + R + "\n-----END RSA PRIVATE KEY-----",
    "secrets/jwt": "eyJ" + R[:20] + ".eyJ" + R[:20] + "." + R[:30],
    "secrets/npm-token": "npm_" + R,
    "secrets/pypi-token": "pypi-AgEIcHlwaS5vcmc" + R + R,
    "secrets/azure-storage-key": "AccountKey=" + (R * 3)[:86] + "==",
    "secrets/twilio-key": "SK" + "8f3a1c9e7b2d4f60a5c8e1b7d3f9024a",
    "secrets/sendgrid-key": "SG." + R[:22] + "." + (R * 2)[:43],
    "secrets/openai-key": "sk-proj-" + R[:24] + "T3BlbkFJ" + R[:24],
    "secrets/anthropic-key": "sk-ant-api03-" + (R * 3)[:95],
    "secrets/xai-key": "xai-" + (R * 3)[:80],
    "secrets/huggingface-token": "hf_" + "qZpLkXvTnBwMdHsFyGcJrQeUaWoIiEtYuN",
    "secrets/digitalocean-token": "dop_v1_" + "8f3a1c9e7b2d4f60" * 4,
    "secrets/shopify-token": "shpat_" + "8f3a1c9e7b2d4f60a5c8e1b7d3f9024a",
    "secrets/mailgun-key": "key-" + "8f3a1c9e7b2d4f60a5c8e1b7d3f9024a",
    "secrets/telegram-token": "748291045:AA" + R[:33],
    "secrets/age-key": "AGE-SECRET-KEY-1" + (R * 2).upper()[:58],
    "secrets/url-password": "postgres://app:" + R[:12] + "@db.internal/app",
}


def found(text: str, role: str = "source") -> list[Draft]:
    kind = Kind(language="python", role=role)  # type: ignore[arg-type]
    return secrets(text, kind=kind, lines=text.split("\n"))


@pytest.mark.parametrize("rule", sorted(PLANTED))
def test_a_planted_credential_is_found_once(rule: str) -> None:
    assert [draft.rule for draft in found(f'a = 1\nx = "{PLANTED[rule]}"\n')] == [rule]


def test_every_pattern_is_planted_here() -> None:
    assert {pattern.rule for pattern in PATTERNS} == set(PLANTED)


@pytest.mark.parametrize("rule", sorted(PLANTED))
def test_the_value_is_nowhere_in_what_is_told(rule: str) -> None:
    [draft] = found(f'x = "{PLANTED[rule]}"\n')

    assert R[:12] not in repr(draft)
    assert PLANTED[rule] not in repr(draft)


def test_a_random_value_assigned_to_a_telling_name_is_found() -> None:
    assert [draft.rule for draft in found(f'API_KEY = "{R[:24]}"')] == ["secrets/assigned"]


@pytest.mark.parametrize(
    "line",
    [
        'password = "changeme123456"',
        'api_key = "<your-api-key-here-1>"',
        'token = "AKIAIOSFODNN7EXAMPLE"',
        'secret = "${SECRET_FROM_ENV_9}"',
        'token_url = "https://auth.host/oauth/token2"',
        'secret_name = "projects.my-app.secrets"',
        'TOKEN_TYPE = "AuthorizationBearerToken"',
        'password = os.environ["DATABASE_PASSWORD_1"]',
        'url = "postgres://user:password@localhost/app"',
        'url = "postgres://app:${PASSWORD}@db/app"',
        "git clone https://github.com/a/b",
    ],
)
def test_placeholders_and_names_are_left_alone(line: str) -> None:
    assert found(line) == []


@pytest.mark.parametrize("role", ["test", "example", "docs"])
def test_outside_the_source_a_credential_is_rated_low_and_no_guess_is_made(role: str) -> None:
    drafts = found(f'x = "{PLANTED["secrets/github-token"]}"\nAPI_KEY = "{R[:24]}"', role)

    assert [(draft.rule, draft.severity) for draft in drafts] == [("secrets/github-token", Severity.LOW)]
