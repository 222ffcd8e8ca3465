"""The JSON that a reply holds, however it is wrapped or broken: never an exception, every complete finding.

Rungs, from the cleanest to the roughest: the text as it is; the objects between fences and prose; the complete
findings of a list that breaks off; what json-repair makes of the rest. What the rungs give are candidates: who reads
them keeps the one with most usable findings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import json_repair
from pydantic_core import from_json

from services.analyzer.engines.static.limits import nesting

MAX_REPLY = 8 << 20
MAX_REPAIR = 256 << 10
MAX_DEPTH = 100
MAX_STARTS = 50
_THOUGHT = re.compile(r"^.*</think(?:ing)?>", re.DOTALL)
_LIST = re.compile(r"\"?findings\"?\s*:\s*\[")
_GAP = re.compile(r"[\s,]*")
_TITLES = re.compile(r"[\"']?title[\"']?\s*:")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """``whole``: nothing of the reply can be missing from it."""

    rung: Literal["clean", "repaired", "salvaged"]
    summary: object
    findings: list[Any]
    whole: bool


def strict(text: str) -> Candidate | None:
    """The reply as it should be; the ordinary case, and the only one that is cheap."""
    if len(text) > MAX_REPLY:
        return None
    try:
        return _candidate(from_json(text), "clean", whole=True)
    except (ValueError, TypeError, RecursionError):
        return None


def candidates(text: str) -> Iterator[Candidate]:
    """Whatever can be made of a reply that is not as it should be. May take a second: not for the event loop."""
    text = _THOUGHT.sub("", text[:MAX_REPLY].encode("utf-8", "replace").decode())
    if nesting(text) > MAX_DEPTH:
        yield from _complete_findings(text)
        return
    yield from _embedded(text)
    yield from _complete_findings(text)
    yield from _repaired(text)


def _candidate(value: object, rung: Literal["clean", "repaired", "salvaged"], *, whole: bool) -> Candidate | None:
    if isinstance(value, str) and rung == "clean":
        return _twice_encoded(value)
    if isinstance(value, list) and all(isinstance(item, dict) and "title" in item for item in value) and value:
        return Candidate(rung="repaired" if rung == "clean" else rung, summary="", findings=value, whole=whole)
    if not isinstance(value, dict) or not isinstance(value.get("findings"), list):
        return None
    return Candidate(rung=rung, summary=value.get("summary"), findings=value["findings"], whole=whole)


def _twice_encoded(value: str) -> Candidate | None:
    try:
        return _candidate(from_json(value), "repaired", whole=True)
    except (ValueError, RecursionError):
        return None


def _embedded(text: str) -> Iterator[Candidate]:
    """Objects and lists that are whole in themselves, with a fence or prose around them."""
    starts = [match.start() for match in re.finditer(r"[{\[]", text)][:MAX_STARTS]
    reached = 0
    for start in starts:
        if start < reached:
            continue
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        inside = isinstance(value, list) and "{" in text[:start]
        found = _candidate(value, "salvaged" if inside else "repaired", whole=not inside)
        if found is not None:
            reached = end
            yield found


def _complete_findings(text: str) -> Iterator[Candidate]:
    """The objects of each list of findings up to where it breaks off; half an object is none."""
    for match in list(_LIST.finditer(text))[:MAX_STARTS]:
        findings: list[Any] = []
        at = match.end()
        while True:
            at = _skip_gap(text, at)
            try:
                value, at = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError):
                break
            findings.append(value)
        yield Candidate(rung="salvaged", summary=_summary_before(text, match.start()), findings=findings, whole=False)


def _skip_gap(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return gap.end() if gap else at


def _summary_before(text: str, end: int) -> object:
    try:
        value = from_json(text[text.find("{") : end], allow_partial=True)
    except (ValueError, RecursionError):
        return ""
    return value.get("summary", "") if isinstance(value, dict) else ""


def _repaired(text: str) -> Iterator[Candidate]:
    """Quotes, commas and brackets guessed. The last finding of a reply that breaks off is half guessed: left out."""
    if len(text) > MAX_REPAIR:
        return
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0:
        return
    body = text[start : text.rfind("}" if text[start] == "{" else "]") + 1]
    closed = bool(body) and _is_balanced(body)
    try:
        value = json_repair.loads(body if closed else text[start:], skip_json_loads=True)
    except Exception:  # noqa: BLE001 - a guess that fails is no guess, whatever it dies of
        return
    found = next(filter(None, (_candidate(item, "repaired", whole=False) for item in _parts(value))), None)
    if found is None:
        return
    findings = found.findings if closed else found.findings[:-1]
    whole = closed and len(_TITLES.findall(body)) <= len(findings)
    yield Candidate(rung="repaired" if whole else "salvaged", summary=found.summary, findings=findings, whole=whole)


def _is_balanced(text: str) -> bool:
    """Whether every bracket and quotation mark has its other; in prose they may not, then it is called broken."""
    bare = _STRING.sub("", text)
    return '"' not in bare and all(bare.count(pair[0]) == bare.count(pair[1]) for pair in ("{}", "[]"))


def _parts(value: object) -> list[object]:
    """json-repair gives a list where the text holds several values."""
    return [value, *value] if isinstance(value, list) else [value]
