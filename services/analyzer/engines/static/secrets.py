"""Credentials written into files. What is found never leaves this module: no title, text or fingerprint holds it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import log2

from libs.events.analyzer import Category, Severity
from services.analyzer.engines.static.drafts import Draft
from services.analyzer.engines.static.languages import Kind

MIN_ENTROPY = 3.5
MAX_SECRETS = 50
_SUGGESTION = "Revoke it, take it out of the file, and read it from the environment or a secret store."
_DESCRIPTION = "Everybody who can read the repository, now or in its history, can use it."


@dataclass(frozen=True)
class Pattern:
    """``hints`` are searched first; only where one is in the text is the expression tried."""

    rule: str
    title: str
    severity: Severity
    hints: tuple[str, ...]
    expression: re.Pattern[str]


def _pattern(rule: str, title: str, hints: str, expression: str, severity: Severity = Severity.CRITICAL) -> Pattern:
    return Pattern(f"secrets/{rule}", title, severity, tuple(hints.split()), re.compile(expression))


_KEY_BLOCK = r"-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?)-----\s*(?:\\n)?[^-]{0,200}?[A-Za-z0-9+/=]{40}"
PATTERNS = (
    _pattern("aws-access-key", "AWS access key", "AKIA ASIA", r"\b((?:AKIA|ASIA)[A-Z2-7]{16})\b"),
    _pattern("github-token", "GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\b(gh[pousr]_[A-Za-z0-9]{36,255})\b"),
    _pattern("github-fine-grained", "GitHub token", "github_pat_", r"\b(github_pat_\w{82})\b"),
    _pattern("gitlab-token", "GitLab token", "glpat- glptt- gldt-", r"\b(gl(?:pat|ptt|dt)-[\w-]{20,64})\b"),
    _pattern("slack-token", "Slack token", "xoxb- xoxp- xoxa- xoxs- xoxr-", r"\b(xox[bpasr]-\d{6,}-[\w-]{10,})\b"),
    _pattern(
        "slack-webhook",
        "Slack webhook address",
        "hooks.slack.com/services/",
        r"(hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20,})",
        Severity.HIGH,
    ),
    _pattern("stripe-key", "Stripe live key", "sk_live_ rk_live_", r"\b([sr]k_live_[A-Za-z0-9]{16,})\b"),
    _pattern("google-api-key", "Google API key", "AIza", r"\b(AIza[\w-]{35})(?![\w-])", Severity.HIGH),
    _pattern("google-oauth-secret", "Google OAuth client secret", "GOCSPX-", r"\b(GOCSPX-[\w-]{28})(?![\w-])"),
    _pattern("private-key", "Private key", "PRIVATE", f"({_KEY_BLOCK})"),
    _pattern(
        "jwt",
        "JSON web token",
        "eyJ",
        r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,})",
        Severity.MEDIUM,
    ),
    _pattern("npm-token", "npm token", "npm_", r"\b(npm_[A-Za-z0-9]{36})\b"),
    _pattern("pypi-token", "PyPI token", "pypi-AgEIcHlwaS5vcmc", r"\b(pypi-AgEIcHlwaS5vcmc[\w-]{50,})"),
    _pattern("azure-storage-key", "Azure storage key", "AccountKey=", r"\bAccountKey=([A-Za-z0-9+/]{80,}={0,2})"),
    _pattern("twilio-key", "Twilio API key", "SK", r"(?<![A-Za-z0-9])(SK[0-9a-f]{32})(?![A-Za-z0-9])"),
    _pattern("sendgrid-key", "SendGrid key", "SG.", r"\b(SG\.[\w-]{22}\.[\w-]{43})(?![\w-])"),
    _pattern("openai-key", "OpenAI key", "sk-", r"\b(sk-(?:proj-|svcacct-)?[\w-]{20,}T3BlbkFJ[\w-]{20,})"),
    _pattern("anthropic-key", "Anthropic key", "sk-ant-", r"\b(sk-ant-[a-z0-9]+-[\w-]{80,})"),
    _pattern("xai-key", "xAI key", "xai-", r"\b(xai-[A-Za-z0-9]{70,})\b"),
    _pattern("huggingface-token", "Hugging Face token", "hf_", r"\b(hf_[A-Za-z]{34})\b"),
    _pattern("digitalocean-token", "DigitalOcean token", "dop_v1_ doo_v1_", r"\b(do[op]_v1_[a-f0-9]{64})\b"),
    _pattern("shopify-token", "Shopify token", "shpat_ shpss_ shpca_", r"\b(shp(?:at|ss|ca)_[a-fA-F0-9]{32})\b"),
    _pattern("mailgun-key", "Mailgun key", "key-", r"\b(key-[0-9a-f]{32})\b", Severity.HIGH),
    _pattern("telegram-token", "Telegram bot token", ":AA", r"\b(\d{8,10}:AA[\w-]{33})(?![\w-])"),
    _pattern("age-key", "age secret key", "AGE-SECRET-KEY-1", r"\b(AGE-SECRET-KEY-1[0-9A-Z]{58})\b"),
    _pattern(
        "url-password",
        "Password in a connection address",
        "://",
        r"://[^\s:/@\"'<>`]{1,80}:([^\s:/@\"'<>{}$%`|\\]{6,100})@[\w.-]+",
        Severity.HIGH,
    ),
)

_WORDS_BEFORE = (
    *("passw", "secret", "token", "api_key", "api-key", "apikey", "_key"),
    *("accesskey", "authkey", "credential"),
)
_ASSIGNMENT = re.compile(
    r"(?:passw(?:or)?d|secret|token|api[_-]?key|(?:(?<=access)|(?<=auth)|(?<=private)|(?<=secret))_key|accesskey|authkey"
    r"|credentials?)[\w-]{0,30}"
    r"[\"']?\]?\s{0,4}(?::=|=>|[:=])\s{0,4}[\"']([^\"'\s]{12,200})[\"']",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|changeme|change[_-]me|placeholder|your|xxx|fake|foobar|insert|replace|redacted|secret|passw"
    r"|test|todo|[<>{}$*]|\.\.\.|12345|abcdef|user|mock|invalid|localhost",
    re.IGNORECASE,
)
_WORDS = re.compile(r"^[A-Za-z]+(?:[A-Z_.:/-][A-Za-z]*)*\d?$")
_PLACE = re.compile(r"^(?:https?:|/|\./|\.\./|[\w-]+://)|\.(?:py|js|json|ya?ml|txt|html|com|org|io|net)$")


@dataclass(frozen=True)
class _Hit:
    pattern: Pattern
    start: int
    end: int


_QUOTED = Pattern("secrets/assigned", "Credential written into the file", Severity.HIGH, (), _ASSIGNMENT)


def secrets(text: str, *, kind: Kind, lines: list[str]) -> list[Draft]:
    """A finding a place. In tests, examples and documents they are rated low, and guesses are not made at all."""
    hits = [*_anchored(text), *(() if kind.role in {"test", "example", "docs"} else _assigned(text))]
    if not hits:
        return []
    hits.sort(key=lambda hit: (hit.start, hit.pattern is _QUOTED))
    drafts: list[Draft] = []
    reached = -1
    for hit in hits:
        if hit.start >= reached and len(drafts) < MAX_SECRETS:
            drafts.append(_draft(hit, text, kind, lines))
            reached = hit.end
    return drafts


def _anchored(text: str) -> Iterator[_Hit]:
    for pattern in PATTERNS:
        if not _hinted(pattern, text):
            continue
        for match in pattern.expression.finditer(text):
            if not _is_placeholder(match[1], pattern):
                yield _Hit(pattern, *match.span(1))


def _hinted(pattern: Pattern, text: str) -> bool:
    return any(hint in text for hint in pattern.hints)


def _is_placeholder(value: str, pattern: Pattern) -> bool:
    if pattern.rule == "secrets/private-key":
        return False
    if pattern.rule == "secrets/url-password":
        return bool(_PLACEHOLDER.search(value)) or value.islower() or len(set(value)) < 5
    return bool(re.search(r"example|xxxx|0000000|1234567890|abcdefgh", value, re.IGNORECASE)) or entropy(value) < 2.5


def _assigned(text: str) -> Iterator[_Hit]:
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text
    for word in _WORDS_BEFORE:
        start = lowered.find(word)
        while start >= 0:
            match = _ASSIGNMENT.match(text, start)
            if match and looks_secret(match[1]):
                yield _Hit(_QUOTED, *match.span(1))
            start = lowered.find(word, start + len(word))


def looks_secret(value: str) -> bool:
    """Random enough to be a credential, and neither words, a path nor a placeholder."""
    if _PLACEHOLDER.search(value) or _WORDS.match(value) or _PLACE.search(value):
        return False
    if not (any(c.isdigit() for c in value) and any(c.isalpha() for c in value)):
        return False
    return value.isascii() and entropy(value) >= MIN_ENTROPY


def entropy(value: str) -> float:
    """Shannon's, in bits a character."""
    return -sum(n / len(value) * log2(n / len(value)) for n in Counter(value).values()) if value else 0.0


def _draft(hit: _Hit, text: str, kind: Kind, lines: list[str]) -> Draft:
    line = text.count("\n", 0, hit.start) + 1
    begin = text.rfind("\n", 0, hit.start) + 1
    real = kind.role in {"source", "config"}
    return Draft(
        rule=hit.pattern.rule,
        category=Category.SECURITY,
        severity=hit.pattern.severity if real else Severity.LOW,
        title=hit.pattern.title if hit.pattern is _QUOTED else f"{hit.pattern.title} in the file",
        description=_DESCRIPTION if real else f"In a {kind.role} file: probably made up. {_DESCRIPTION}",
        suggestion=_SUGGESTION,
        start_line=line,
        end_line=min(len(lines), text.count("\n", 0, hit.end) + 1),
        cwe=798,
        confidence=(0.7 if hit.pattern is _QUOTED else 0.95) if real else 0.3,
        code=text[begin : hit.start],
    )
