"""Writes what subscribers rely on from ``libs/events``: a JSON Schema a fact, and AsyncAPI. ``--check`` finds drift."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from libs.events.catalog import FACTS
from libs.events.envelope import MAX_FACT_BYTES, Fact, describe
from libs.events.subjects import STREAM, pattern

HERE = Path(__file__).parent
HEADERS = {
    "ce-specversion": "CloudEvents version, 1.0.",
    "ce-id": "The subject: a subject holds one fact for ever.",
    "ce-source": "Who published it, strandline/<service>.",
    "ce-type": "What it is; decides the schema of the payload.",
    "ce-time": "When it was published, RFC 3339.",
    "ce-subject": "The file key, number or scan that it is about.",
    "traceparent": "W3C trace context of the publisher, where it was tracing.",
}


def documents() -> dict[Path, str]:
    """Every generated file and its text."""
    texts = {HERE / "events" / f"{fact.type_name}.json": _json(describe(fact)) for fact in FACTS}
    texts[HERE / "asyncapi.yaml"] = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=110)
    return texts


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3: one channel a fact, what it looks like, and how its stream keeps it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Strandline facts",
            "version": "1.0.0",
            "description": "Everything that happens in a scan, each fact published exactly once.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {fact.type_name: _channel(fact) for fact in FACTS},
        "operations": {
            f"receive.{fact.type_name}": {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{fact.type_name}"},
                "summary": _summary(fact),
            }
            for fact in FACTS
        },
        "components": {
            "messageTraits": {
                "cloudEvent": {
                    "headers": {
                        "type": "object",
                        "properties": {name: {"type": "string", "description": text} for name, text in HEADERS.items()},
                        "required": [name for name in HEADERS if name != "traceparent"],
                    }
                }
            }
        },
    }


def _channel(fact: type[Fact]) -> dict[str, Any]:
    keyed = fact.subject_key is not Fact.subject_key
    address = pattern(fact.token, repository="{repository_id}", scan="{scan_id}") + (".{key}" if keyed else "")
    names = ["repository_id", "scan_id", *(["key"] if keyed else [])]
    return {
        "address": address,
        "description": _summary(fact),
        "parameters": {name: {"description": _PARAMETERS[name]} for name in names},
        "messages": {
            "fact": {
                "name": fact.type_name,
                "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
                "payload": {"$ref": f"./events/{fact.type_name}.json"},
            }
        },
        "x-stream": STREAM,
        "x-max-bytes": MAX_FACT_BYTES,
    }


_PARAMETERS = {
    "repository_id": "Id of the repository.",
    "scan_id": "Id of the scan; ids of later scans sort after it.",
    "key": "File key, task id or ordinal.",
}


def _summary(fact: type[Fact]) -> str:
    return (fact.__doc__ or "").strip().splitlines()[0]


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the files, or with ``--check`` name those that differ."""
    expected = documents()
    stale = sorted(path for path in (HERE / "events").glob("*.json") if path not in expected)
    if "--check" not in sys.argv:
        (HERE / "events").mkdir(exist_ok=True)
        for path, text in expected.items():
            path.write_text(text, encoding="utf-8")
        for path in stale:
            path.unlink()
        return 0
    wrong = [path for path, text in expected.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in (*wrong, *stale):
        print(f"{path.relative_to(HERE.parent)} is not what libs/events says: run `make schemas`", file=sys.stderr)
    return 1 if wrong or stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
