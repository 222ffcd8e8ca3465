"""Following one scan from wherever it stands to its review, through any restart of the deployment."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from libs.events.reviewer import ReviewCompleted
from libs.questions.analyzer import InHand
from libs.questions.differ import ScanTicket
from libs.questions.ledger import AccountedFiles, Progress, Scans
from services.standalone.client import ApiProblem, Client, Unreachable
from services.standalone.show.money import dollars
from services.standalone.show.safe import safe
from services.standalone.show.views import View


class ListingFailed(Exception):
    """The repository could not be listed; the message says why and what mends it."""


class Halted(Exception):
    """The scan waits for a person: more budget, or the word to go on."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress.halt_reason or "halted")
        self.progress = progress


@dataclass
class Followed:
    """What has been seen of a scan so far; survives a change of deployment."""

    scan_id: str
    after: int = 0
    progress: Progress | None = None
    review: ReviewCompleted | None = None
    said: set[str] = field(default_factory=set)
    look_again_at: float = 0.0


LOOK_SECONDS = 1.0
"""How often a follower looks whether other scans are at work."""


async def join_scan(client: Client, followed: Followed, view: View) -> None:
    """Say where a scan that is under way goes on, and skip what was counted before."""
    try:
        progress = await client.ask(Progress, "GET", f"/scans/{followed.scan_id}")
    except ApiProblem:
        return
    if not progress.started_at:
        return
    followed.after = progress.accounted
    followed.said.add("started")
    spent = dollars(progress.settled_ticks)
    view.say(f"resuming at {progress.accounted}/{progress.coverage.total}, {spent} spent")


async def follow_scan(client: Client, followed: Followed, view: View) -> None:
    """Show the scan until its review is there.

    Raises:
        ListingFailed, Halted: it will not go on by itself.
        Unreachable: the deployment went away; call again with the next one.
    """
    async for name, _, data in client.events(f"/scans/{followed.scan_id}/follow", after=followed.after):
        if name == "ticket":
            _ticket(ScanTicket.model_validate_json(data))
        elif name == "progress":
            progress = Progress.model_validate_json(data)
            await _name_where_needed(client, followed, progress.repository_id, view)
            _progress(followed, progress, view)
        elif name == "files":
            accounted = AccountedFiles.model_validate_json(data).files
            view.files(accounted)
            followed.after = accounted[-1].ordinal if accounted else followed.after
        elif name == "in_hand":
            view.in_hand(InHand.model_validate_json(data).files)
        elif name == "review":
            followed.review = ReviewCompleted.model_validate_json(data)


async def _name_where_needed(client: Client, followed: Followed, name: str, view: View) -> None:
    """While other scans are at work their output may go to the same place: then each line says whose it is."""
    now = time.monotonic()
    if now < followed.look_again_at:
        return
    followed.look_again_at = now + LOOK_SECONDS
    try:
        scans = (await client.ask(Scans, "GET", "/scans", params={"active": True})).scans
    except Unreachable:
        return  # names can wait, and whether the scan is followed is for the stream to say
    others = any(scan.scan_id != followed.scan_id and scan.state in ("requested", "running") for scan in scans)
    view.label(name if others else "")


def _ticket(ticket: ScanTicket) -> None:
    if ticket.state == "failed":
        raise ListingFailed(ticket.problem)


def _progress(followed: Followed, progress: Progress, view: View) -> None:
    if progress.started_at and "started" not in followed.said:
        followed.said.add("started")
        view.say(f"scan {progress.scan_id}: {progress.coverage.total} files listed, {safe(progress.mode_reason)}")
        for warning in progress.warnings:
            view.say(f"warning: {safe(warning)}")
    view.progress(progress)
    followed.progress = progress
    if progress.state == "halted":
        raise Halted(progress)
