"""``strandline scan`` as a user runs it, killed at random moments and run again until it is done."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psutil

from tests.chaos.processes import Sightings, kill

COMMAND = Path(sys.executable).parent / "strandline"
COUNTED = re.compile(r"^\[(\d+)/(\d+)\]", re.MULTILINE)
RESUMED = re.compile(r"^resuming at (\d+)/(\d+)", re.MULTILINE)
HOW = ("tree", "main", "nats", "postgres")
EXECUTABLES = {"nats": "nats-server", "postgres": "postgres"}
PATIENCE = 100.0
GLANCE = 0.02


@dataclass
class Story:
    """What happened until a scan was done: the kills, what each run said, and the document of the last."""

    document: dict[str, Any] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    logs: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Command:
    """One run of the command in a session of its own."""

    def __init__(self, repository: Path, data: Path, sightings: Sightings, log: Path) -> None:
        self._sightings = sightings
        self._log = log
        self._output = log.with_suffix(".json")
        with log.open("wb") as errors, self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [COMMAND, "scan", repository, "--json", "--data-dir", data],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def wait(self, seconds: float) -> bool:
        """Whether it ended by itself within that time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is not None

    def kill(self, how: str, random: Random) -> bool:
        """Whether there was anything to kill in that way."""
        family = self._sightings.family(self.process.pid)
        if how == "main":
            victims = family[:1]
        elif how == "tree":
            victims = random.sample(family, len(family))
        else:
            victims = [process for process in family if _is(process, EXECUTABLES[how])]
        for process in victims:
            kill(process)
        if how in ("tree", "main"):
            self.process.wait()
        return bool(victims)

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._output.read_text())
        return found

    @property
    def done(self) -> float:
        """The part of the files that it says are done."""
        counted = [*RESUMED.findall(self.log), *COUNTED.findall(self.log)]
        return int(counted[-1][0]) / max(1, int(counted[-1][1])) if counted else 0.0

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")


def _is(process: psutil.Process, name: str) -> bool:
    try:
        return process.name() == name
    except psutil.NoSuchProcess:
        return False


def tell_story(repository: Path, data: Path, sightings: Sightings, random: Random, *, kills: int, span: float) -> Story:
    """Run the command again and again; each gets killed up to ``span`` seconds after the last blow, ``kills`` times."""
    story = Story()
    while True:
        began = time.monotonic()
        command = Command(repository, data, sightings, data / f"run-{len(story.logs)}.log")
        try:
            done = _live(command, story, random, kills=kills, span=span)
        finally:
            if command.process.poll() is None:
                command.kill("tree", random)
        story.logs.append(command.log)
        story.seconds.append(time.monotonic() - began)
        if done:
            story.document = command.document
            return story


def _live(command: Command, story: Story, random: Random, *, kills: int, span: float) -> bool:
    """Whether the command came to its end; otherwise it was killed."""
    while story.kills.total() < kills:
        if _ends_before(command, random, span):
            break
        how = random.choices(HOW, (4, 3, 2, 2))[0]
        story.kills[how] += command.kill(how, random)
        if command.process.poll() == -signal.SIGKILL:
            return False
    if not command.wait(PATIENCE):
        raise AssertionError(f"the command hangs after {dict(story.kills)}:\n{command.log[-3000:]}")
    assert command.process.returncode == 0, f"exit {command.process.returncode}: {command.log[-3000:]}"
    return True


def _ends_before(command: Command, random: Random, span: float) -> bool:
    """Wait for a random moment, by the clock or by how many files are done; whether the command ends before it."""
    if random.random() < 0.5:
        return command.wait(random.uniform(0, span))
    wanted, deadline = random.random(), time.monotonic() + PATIENCE
    while command.done < wanted:
        if command.wait(GLANCE):
            return True
        assert time.monotonic() < deadline, f"the command hangs:\n{command.log[-3000:]}"
    return False


def check_resumption(logs: list[str]) -> int:
    """Every run goes on where the ledger had counted to, which is no less than any run before had shown.

    Returns how many runs said where they resume.
    """
    shown, total, said = 0, 0, 0
    for log in logs:
        if resumed := RESUMED.search(log):
            said += 1
            if int(resumed[2]) != total:  # the scan was over when its run was killed, and this one found no change
                assert resumed[2] == "0" or not total, f"{shown}/{total} were shown, then: {resumed[0]}"
                shown = 0
            assert int(resumed[1]) >= shown, f"{shown} were shown, then: {resumed[0]}"
        for place, of in COUNTED.findall(log):
            shown, total = int(place), int(of)
    return said
