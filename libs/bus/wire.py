"""A fact's headers as bytes on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from libs.bus.link import header_block
from libs.events.envelope import Fact, cloud_event_headers


def fact_headers(fact: Fact, trace: Mapping[str, str]) -> bytes:
    """The CloudEvents headers of a fact with the trace it belongs to."""
    return header_block({**cloud_event_headers(fact), **trace})
