"""The ``strandline`` command."""

from __future__ import annotations

import sys

import click

from libs.telemetry.logs import set_up_logs
from services.standalone.commands.reach import USAGE
from services.standalone.commands.repos import repos
from services.standalone.commands.results import cost, events, findings, tasks
from services.standalone.commands.scan import scan
from services.standalone.commands.service import doctor, up
from services.standalone.commands.steer import cancel, finish, pause, resume, review, status


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="strandline")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="error")
def strandline(log_level: str) -> None:
    """Every changed file of a repository analysed exactly once, and one ordered task list made of it."""
    set_up_logs(service="standalone", form="pretty" if sys.stderr.isatty() else "json", level=log_level)


for command in (scan, up, status, pause, resume, cancel, finish, review, tasks, findings, cost, repos, events, doctor):
    strandline.add_command(command)


def main() -> None:
    """Run the command; wrong usage exits with 64."""
    click.UsageError.exit_code = USAGE
    strandline(prog_name="strandline")


if __name__ == "__main__":
    main()
