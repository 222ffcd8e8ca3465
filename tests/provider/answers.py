"""What the fake model says: an answer that obeys the asked schema, and every way of spoiling it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from tests.provider.script import Fault

PLAIN_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "category": {"enum": ["security", "correctness", "error-handling", "performance", "refactoring"]},
                    "severity": {"enum": ["critical", "high", "medium", "low"]},
                    "title": {"type": "string"},
                    "description": {"type": "string"},
                    "suggestion": {"type": "string"},
                    "start_line": {"type": "integer"},
                    "end_line": {"type": "integer"},
                },
            },
        },
    },
}
"""Where the request brings none (prompted mode)."""

TEXTS = (
    "The result of this call is never checked",
    "A failure here is swallowed",
    "Two branches do the same",
    "The value can be empty at this point",
    "Input reaches this line without validation",
)
QUOTE = "\ufffa"
"""Stands for a quotation mark that will not be escaped."""


def clean_answer(schema: Mapping[str, Any] | None, *, lines: int, findings: int, chance: random.Random) -> Any:
    """A value that obeys the schema, with line numbers inside the file."""
    return _Inventor(schema or PLAIN_SCHEMA, lines=lines, findings=findings, chance=chance).value(
        schema or PLAIN_SCHEMA, ""
    )


class _Inventor:
    """Makes up values for the subset of JSON Schema that providers accept."""

    def __init__(self, root: Mapping[str, Any], *, lines: int, findings: int, chance: random.Random) -> None:
        self._root = root
        self._lines = lines
        self._findings = findings
        self._chance = chance

    def value(self, schema: Mapping[str, Any], name: str) -> Any:
        if "$ref" in schema:
            return self.value(self._root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], name)
        if "enum" in schema:
            return self._chance.choice(schema["enum"])
        if "const" in schema:
            return schema["const"]
        if "anyOf" in schema:
            return self.value(schema["anyOf"][0], name)
        kind = schema.get("type", "string")
        return self._of_kind(kind[0] if isinstance(kind, list) else kind, schema, name)

    def _of_kind(self, kind: str, schema: Mapping[str, Any], name: str) -> Any:
        match kind:
            case "object":
                made = {key: self.value(part, key) for key, part in schema.get("properties", {}).items()}
                return _in_order(made)
            case "array":
                return [self.value(schema.get("items", {}), name) for _ in range(self._findings)]
            case "integer":
                return self._chance.randint(1, self._lines) if "line" in name else self._chance.randint(1, 50)
            case "number":
                return round(self._chance.random(), 2)
            case "boolean":
                return self._chance.random() < 0.5
            case "null":
                return None
        return self._text(name)

    def _text(self, name: str) -> str:
        if name in {"rule", "symbol", "slug", "id"}:
            return f"{name}-{self._chance.randint(1, 9)}"
        return f"{self._chance.choice(TEXTS)} ({self._chance.randint(1, 999)})."


def _in_order(made: dict[str, Any]) -> dict[str, Any]:
    if {"start_line", "end_line"} <= made.keys():
        made["start_line"], made["end_line"] = sorted((made["start_line"], made["end_line"]))
    return made


def spoil(answer: Any, fault: Fault | None, *, lines: int, chance: random.Random) -> str:
    """The answer as text, with the fault in it where it is one of text or values."""
    match fault:
        case Fault.WRONG_TYPES:
            return json.dumps(_each(answer, _wrong_type))
        case Fault.UNKNOWN_ENUMS:
            return json.dumps(_each(answer, _unknown_word))
        case Fault.NAN:
            return json.dumps(_each(answer, lambda key, value: float("nan") if _is_number(value) else value))
        case Fault.LINES_OUTSIDE:
            return json.dumps(_each(answer, lambda key, value: value + lines if _is_line(key, value) else value))
        case Fault.MISSING_KEYS:
            return json.dumps(_without_keys(answer, chance))
        case Fault.MANY_FINDINGS:
            return json.dumps(_longer(answer, 10_000))
        case Fault.UNESCAPED_QUOTES:
            quoted = _each(answer, lambda key, value: f"the {QUOTE}name{QUOTE} is wrong" if _is_prose(value) else value)
            return json.dumps(quoted, ensure_ascii=False).replace(QUOTE, '"')
    return _spoil_text(json.dumps(answer), fault)


def _spoil_text(text: str, fault: Fault | None) -> str:
    match fault:
        case Fault.FENCED:
            return f"```json\n{text}\n```"
        case Fault.PROSE:
            return f"Here is what I found in {{this}} file:\n\n{text}\n\nLet me know if you need more [details]."
        case Fault.TRUNCATED:
            return text[: max(1, len(text) * 3 // 4)]
        case Fault.TRAILING_COMMAS:
            return text.replace("}", ",}").replace("]", ",]")
        case Fault.NOT_JSON:
            return "I looked at the file and it seems mostly fine to me."
        case Fault.REFUSAL:
            return "I cannot help with that."
        case Fault.CONTENT_FILTER | Fault.EMPTY_TEXT:
            return ""
    return text


def _each(value: Any, change: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _each(part, change, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_each(part, change, key) for part in value]
    return change(key, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_line(key: str, value: Any) -> bool:
    return "line" in key and _is_number(value)


def _is_prose(value: Any) -> bool:
    return isinstance(value, str) and " " in value


def _wrong_type(key: str, value: Any) -> Any:
    return f"line {value}" if _is_number(value) else ["", value] if _is_prose(value) else value


def _unknown_word(key: str, value: Any) -> Any:
    return f"Very {value.title()}" if isinstance(value, str) and not _is_prose(value) else value


def _without_keys(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        return [_without_keys(part, chance) for part in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _without_keys(part, chance) for name, part in value.items()}
    kept.pop(chance.choice(sorted(kept)), None)
    return kept


def _longer(answer: Any, count: int) -> Any:
    if not isinstance(answer, dict):
        return answer
    return {
        key: [part[n % len(part)] for n in range(count)] if isinstance(part, list) and part else part
        for key, part in answer.items()
    }
