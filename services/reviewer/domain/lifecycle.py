"""The life of findings, as a function of what became of their files scan by scan.

Facts come in any order, late and repeated. What stands is therefore never counted up; it is replayed from the outcomes
of a file (and of the files it was renamed from) in the order of scans. ``replay`` goes on from any earlier state, so
that ordinarily only the new outcomes are looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

from libs.events.analyzer import FileAnalyzed
from libs.events.differ import FileFact, FileRemoved, FileSkipped

State = Literal["new", "persisting", "reopened", "resolved"]
Place = tuple[str, str]
"""Repository and file key."""


class Kind(IntEnum):
    """What a scan said of a file. Within one scan they count in this order."""

    MOVED = 0
    REMOVED = 1
    SKIPPED = 2
    ANALYSED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file in one scan; ``source`` is the key it was renamed from."""

    place: Place
    scan: str
    kind: Kind
    fingerprints: tuple[str, ...] = ()
    source: str = ""

    @property
    def order(self) -> tuple[str, Kind]:
        return (self.scan, self.kind)

    @property
    def source_place(self) -> Place | None:
        return (self.place[0], self.source) if self.source else None


@dataclass(frozen=True, slots=True)
class Life:
    """When a finding was first and last seen, and since which scan it is gone."""

    first_scan: str
    last_scan: str
    resolved_scan: str | None
    state: State


@dataclass(frozen=True, slots=True)
class Change:
    """How the findings of one file changed in one scan: fingerprints, sorted."""

    opened: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.opened or self.resolved or self.reopened)


Lives = Mapping[str, Life]


def outcomes_of(fact: FileFact) -> tuple[Outcome, ...]:
    """What a fact says, also of the file's former key: whichever side of a rename comes first moves the findings."""
    place = (fact.repository_id, fact.key)
    match fact:
        case FileAnalyzed(previous_key=source):
            found = Outcome(
                place=place,
                scan=fact.scan_id,
                kind=Kind.ANALYSED,
                fingerprints=tuple(sorted({finding.fingerprint for finding in fact.analysis.findings})),
                source=source or "",
            )
            return (found, *_moved(found.source_place, fact.scan_id))
        case FileRemoved(renamed_to_key=target):
            gone = Outcome(place=place, scan=fact.scan_id, kind=Kind.REMOVED)
            return (gone, *_moved(place if target else None, fact.scan_id))
        case FileSkipped():
            return (Outcome(place=place, scan=fact.scan_id, kind=Kind.SKIPPED),)
        case _:
            raise TypeError(f"{fact.type_name} says nothing about findings")


def _moved(place: Place | None, scan: str) -> tuple[Outcome, ...]:
    return () if place is None else (Outcome(place=place, scan=scan, kind=Kind.MOVED),)


def replay(
    outcomes: Iterable[Outcome], start: Mapping[Place, Lives]
) -> tuple[dict[Place, dict[str, Life]], dict[tuple[Place, str], Change]]:
    """The lives after the outcomes, and what changed by (place, scan); empty changes are left out."""
    lives: dict[Place, dict[str, Life]] = defaultdict(dict, {place: dict(known) for place, known in start.items()})
    changes: dict[tuple[Place, str], Change] = {}
    for scan, group in _by_scan(outcomes):
        analysed = [outcome for outcome in group if outcome.kind is Kind.ANALYSED]
        for outcome in group:
            if outcome.kind is not Kind.ANALYSED:
                _note(changes, outcome, _end_all(lives[outcome.place], scan, told=outcome.kind is not Kind.MOVED))
        inherited = [_moved_out(lives.get(outcome.source_place or ("", ""), {}), scan) for outcome in analysed]
        for outcome, inheritance in zip(analysed, inherited, strict=True):
            _note(changes, outcome, _settle(lives[outcome.place], outcome, inheritance))
    return dict(lives), changes


def _by_scan(outcomes: Iterable[Outcome]) -> list[tuple[str, list[Outcome]]]:
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.scan].append(outcome)
    return [(scan, sorted(groups[scan], key=lambda outcome: (outcome.kind, outcome.place))) for scan in sorted(groups)]


def _note(changes: dict[tuple[Place, str], Change], outcome: Outcome, change: Change) -> None:
    if change:
        changes[outcome.place, outcome.scan] = change


def _end_all(lives: dict[str, Life], scan: str, *, told: bool) -> Change:
    ended = sorted(fingerprint for fingerprint, life in lives.items() if life.resolved_scan is None)
    for fingerprint in ended:
        lives[fingerprint] = replace(lives[fingerprint], resolved_scan=scan, state="resolved")
    return Change(resolved=tuple(ended) if told else ())


def _moved_out(lives: Lives, scan: str) -> dict[str, str]:
    """The findings that left with a rename in this scan, and when each was first seen."""
    return {fingerprint: life.first_scan for fingerprint, life in lives.items() if life.resolved_scan == scan}


def _settle(lives: dict[str, Life], outcome: Outcome, inherited: Mapping[str, str]) -> Change:
    opened, reopened = [], []
    standing = {fingerprint for fingerprint, life in lives.items() if life.resolved_scan is None}
    for fingerprint in outcome.fingerprints:
        known, first = lives.get(fingerprint), inherited.get(fingerprint)
        state: State = "persisting"
        if first is None and known is None:
            state = "new"
            opened.append(fingerprint)
        elif first is None and fingerprint not in standing:
            state = "reopened"
            reopened.append(fingerprint)
        seen = [scan for scan in (first, known and known.first_scan, outcome.scan) if scan]
        lives[fingerprint] = Life(min(seen), outcome.scan, None, state)
    ended = sorted((standing | inherited.keys()) - set(outcome.fingerprints))
    for fingerprint in ended:
        if fingerprint in lives:
            lives[fingerprint] = replace(lives[fingerprint], resolved_scan=outcome.scan, state="resolved")
    return Change(tuple(opened), tuple(ended), tuple(reopened))
