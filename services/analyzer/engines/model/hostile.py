"""Text that tries to steer whoever reads the file: orders to a model, and characters that no person sees."""

from __future__ import annotations

import re
from collections.abc import Iterator

from libs.events.analyzer import Category, Severity
from services.analyzer.engines.static.drafts import Draft
from services.analyzer.engines.static.languages import Kind

MAX_EACH = 20
INJECTION = "strandline/prompt-injection"
INVISIBLE = "strandline/invisible-characters"

_MODEL = r"(?:ai|assistant|language model|llm|chatbot|code reviewer|reviewer bot)\b"
_TROUBLE = r"(?:findings?|issues?|problems?|bugs?|vulnerabilit)"
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,30}\b(?:previous|prior|above|preceding|earlier|all|any|your|these)\b"
    r".{0,30}\b(?:instructions?|prompts?|rules|context|guidelines)"
    rf"|\byou\s+are\s+(?:now\s+)?(?:an?|the)\s+(?:\w+\s+){{0,2}}{_MODEL}"
    rf"|\b(?:do\s+not|don't|never)\s+(?:report|flag|mention|list)\b.{{0,40}}\b(?:{_TROUBLE}|this)"
    rf"|\b(?:report|return|answer|respond|reply|output)\b.{{0,25}}\b(?:no|zero|an empty list of|without)\s+{_TROUBLE}"
    r"|\b(?:new|updated|real|hidden)\s+(?:system\s+)?(?:instructions?|prompt)\s*(?::|for\b)"
    r"|\b(?:reveal|print|repeat|leak)\b.{0,20}\b(?:system prompt|your (?:instructions|prompt))"
    rf"|\b(?:dear|attention|note to|hey|message (?:to|for))\b.{{0,12}}\b{_MODEL}"
    r"|<\|(?:im_start|im_end|system|endoftext|eot_id)\|>|\[/?INST\]|<</?SYS>>",
    re.IGNORECASE,
)
_HINTS = re.compile(
    r"instruction|prompt|rules|context|guideline|\bai\b|assistant|model|llm|bot\b|reviewer|finding|issue|problem|bugs?\b"
    r"|vulnerab|report|flag|mention|list|<\||inst\]|sys>>",
    re.IGNORECASE,
)
"""One of these is in every order: a quick look before the thorough one."""
_UNSEEN = re.compile(
    "[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\u200b\u2060-\u2064\u180e\ufeff\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
"""Joiners between letters beyond ASCII are how some languages and emoji are written."""
_BREAKS = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")


def visible(text: str) -> str:
    """The text with what cannot be seen, or breaks lines in secret, written as its code point."""
    return _BREAKS.sub(_named, _UNSEEN.sub(_named, text)) if not text.isascii() or _BREAKS.search(text) else text


def _named(match: re.Match[str]) -> str:
    return "".join(f"<U+{ord(character):04X}>" for character in match[0])


def hostile(lines: list[str], *, kind: Kind) -> list[Draft]:
    """A finding for each line that does such a thing, the first of them."""
    real = kind.role in {"source", "config"}
    return [*_injections(lines, real=real)][:MAX_EACH] + [*_invisible(lines, real=real)][:MAX_EACH]


def _injections(lines: list[str], *, real: bool) -> Iterator[Draft]:
    for number, line in enumerate(lines, 1):
        if _HINTS.search(line[:5000]) and _ORDERS.search(line[:5000]):
            yield Draft(
                rule=INJECTION,
                category=Category.SECURITY,
                severity=Severity.MEDIUM if real else Severity.LOW,
                title="Text that gives orders to a language model",
                description="It reads like an instruction to a model that works on this file. It was treated as data.",
                suggestion="Find out who wrote it and why; take it out unless the file is about prompts.",
                start_line=number,
                end_line=number,
                cwe=1427,
                confidence=0.6,
            )


def _invisible(lines: list[str], *, real: bool) -> Iterator[Draft]:
    for number, line in enumerate(lines, 1):
        if line.isascii():
            continue
        found = sorted({f"U+{ord(character):04X}" for match in _UNSEEN.finditer(line) for character in match[0]})
        if found:
            yield Draft(
                rule=INVISIBLE,
                category=Category.SECURITY,
                severity=Severity.HIGH
                if real and any("U+202A" <= c <= "U+202E" or "U+2066" <= c <= "U+2069" for c in found)
                else Severity.LOW,
                title="Characters that cannot be seen",
                description=f"The line holds {', '.join(found[:5])}: what is shown need not be what is run.",
                suggestion="Take them out, or write them as escapes.",
                start_line=number,
                end_line=number,
                cwe=1007,
                confidence=0.9,
            )
