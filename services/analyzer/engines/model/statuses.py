"""What a provider's status other than 200 means, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from services.analyzer.engines.model.profiles import Profile
from services.analyzer.engines.model.settings import PREFIX
from services.analyzer.engines.model.wires import at, parse

Kind = Literal["throttled", "failing", "too_long", "weaker_mode", "refused"]
LONGEST_WAIT = 3_600.0
TOO_LONG = re.compile(
    r"context[_ ]length|context[_ ]window|context size|maximum context|prompt is too long|too many tokens"
    r"|maximum (?:prompt|input|number of tokens)|exceeds? .{0,40}(?:context|tokens?)|reduce the length",
    re.IGNORECASE,
)
STRUCTURED = re.compile(r"response[_ ]format|json_schema|json_object|output_config|structured output", re.IGNORECASE)
NO_MONEY = re.compile(r"insufficient_quota|insufficient.{0,10}(?:balance|credit)|credit balance|billing", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """``said`` is one sentence for a person, without anything of the body but its code."""

    kind: Kind
    said: str
    after: float | None = None


def judge(status: int, headers: Mapping[str, str], body: bytes, profile: Profile) -> Verdict:
    text = body[:20_000].decode("utf-8", "replace")
    where = f"{profile.name} answered {status}{_code(body)}"
    if status in {402, 429} and NO_MONEY.search(text):
        return Verdict(kind="refused", said=f"{where}: the account has no credit or quota left; top it up.")
    if status == 429:
        return Verdict(kind="throttled", said=f"{where}: too many requests", after=retry_after(headers))
    if status in {408, 409, 425} or status >= 500:
        return Verdict(kind="failing", said=where, after=retry_after(headers))
    if status == 413 or (status in {400, 422} and TOO_LONG.search(text)):
        return Verdict(kind="too_long", said=f"{where}: the request does not fit the context of {profile.model}")
    if status in {400, 422} and STRUCTURED.search(text):
        return Verdict(kind="weaker_mode", said=f"{where}: it takes no such response format")
    return Verdict(kind="refused", said=f"{where}: {_mend(status, profile)}")


def _mend(status: int, profile: Profile) -> str:
    key = f"{PREFIX}KEY" + (f" or {profile.key_variable}" if profile.key_variable else "")
    mends = {
        401: f"the key is not accepted; set {key} to a valid one.",
        402: "the account has no credit left; top it up.",
        403: f"the key may not use {profile.model}; allow it there, or set {key} or {PREFIX}NAME.",
        404: f"there is no model {profile.model} at {profile.url}; check {PREFIX}NAME and {PREFIX}URL.",
        405: f"{profile.url} is no chat address; check {PREFIX}URL.",
    }
    if 300 <= status < 400:
        return f"{profile.url} points elsewhere; set {PREFIX}URL to where it points."
    return mends.get(
        status, f"the request is not accepted for {profile.model}; check {PREFIX}PROFILE and {PREFIX}NAME."
    )


def _code(body: bytes) -> str:
    """The error's own name, where it has one that can carry neither a key nor a prompt."""
    error = at(parse(body), "error")
    for code in (at(error, "code"), at(error, "type")):
        if isinstance(code, str) and re.fullmatch(r"[a-z][a-z_]{2,39}", code):
            return f" ({code})"
    return ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asked us to wait; None where it did not say, or nothing sensible."""
    try:
        if "retry-after-ms" in headers:
            return _sensible(float(headers["retry-after-ms"]) / 1000)
        said = headers.get("retry-after", "")
        return _sensible(float(said)) if re.fullmatch(r"[\d.]+", said) else _until(said)
    except (ValueError, TypeError, OverflowError):
        return None


def _until(said: str) -> float | None:
    moment = parsedate_to_datetime(said)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _sensible((moment - datetime.now(UTC)).total_seconds())


def _sensible(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT)
