"""What every fact has in common: its identity, its place in the stream and its CloudEvents headers.

A fact is published once and never changes. A published type only gains optional fields; any other
change is a new type (``.v2``) beside the old one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_FACT_BYTES = 512 * 1024

Ticks = Annotated[int, Field(description="Money in ticks of 10⁻¹⁰ USD.")]
Count = Annotated[int, Field(ge=0)]
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,80}$")]
"""A short id that is safe as one token of a subject."""
FileKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
PathText = Annotated[
    str,
    Field(
        min_length=1,
        description="The path for people: UTF-8, bytes that are none escaped as \\xNN. Identity is the file key.",
    ),
]


class Model(BaseModel):
    """A value of the published language: immutable, and deaf to fields it does not know yet."""

    # What a fact holds is no matter for logs: errors name the place, never the input.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Fact(Model):
    """Something that happened, as published on ``scan.<repository>.<scan>.<token>[.<key>]``.

    ``type_name`` is the CloudEvents type, ``token`` the subject's middle; ``source`` names the owner.
    """

    type_name: ClassVar[str]
    token: ClassVar[str]
    source: ClassVar[str]

    repository_id: Token
    scan_id: Token

    def subject_key(self) -> str | None:
        """The last part of the subject, where one scan holds several facts of this type."""
        return None

    @property
    def subject(self) -> str:
        key = self.subject_key()
        parts = ("scan", self.repository_id, self.scan_id, self.token, *((key,) if key else ()))
        return ".".join(parts)


def cloud_event_headers(fact: Fact, *, at: datetime | None = None) -> dict[str, str]:
    """CloudEvents 1.0 binary mode. The id is the subject: a subject holds one fact, for ever.

    ``at`` (default: now) becomes ``ce-time``; every value is percent-encoded where not printable ASCII.
    """
    moment = (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "ce-specversion": "1.0",
        "ce-id": _printable(fact.subject),
        "ce-source": f"strandline/{fact.source}",
        "ce-type": fact.type_name,
        "ce-time": moment,
        "ce-subject": _printable(fact.subject_key() or fact.scan_id),
        "content-type": "application/json",
    }


_PLAIN = re.compile(r"^[A-Za-z0-9._-]*\Z")
"""What nearly every value is, and what nothing in it has to be encoded of."""


def _printable(text: str) -> str:
    return text if _PLAIN.match(text) else quote(text, safe="!#$&'()*+,-./:;<=>?@[]^_`{|}~ ")


def encode(fact: Fact) -> bytes:
    """The fact as JSON. Absent optional fields are left out.

    Raises:
        ValueError: the fact is larger than a fact may be; its owner has to rank and cut it first.
    """
    payload = fact.__pydantic_serializer__.to_json(fact, exclude_none=True)
    if len(payload) > MAX_FACT_BYTES:
        raise ValueError(
            f"{fact.type_name} of {len(payload)} bytes is over the limit of {MAX_FACT_BYTES}: {fact.subject}"
        )
    return payload


def describe(fact_type: type[Fact]) -> dict[str, Any]:
    """The JSON Schema of a fact's payload, with its CloudEvents type as the identifier."""
    schema = fact_type.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{fact_type.type_name}.json",
        **schema,
        "title": fact_type.type_name,
    }
