"""How a command begins and ends: one clear sentence for what went wrong, and an exit code.

0 done · 1 it did not work (the service is away, an answer is wrong) · 2 it was called or set up wrongly · 130 Ctrl-C · 143 SIGTERM
"""

from __future__ import annotations

import signal
import sys

import typer

from services.shared.errors import Misconfigured, Rejected, WaypostError


def say(text: str) -> None:
    """A line on standard output, at once: others may be waiting for it."""
    print(text, flush=True)


def run(app: typer.Typer) -> None:
    """Run the command line and exit. SIGTERM ends a command in order, like Ctrl-C: what it started is stopped."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app(prog_name="waypost")
    except WaypostError as error:
        print(f"waypost: {_sentence(error)}", file=sys.stderr)
        sys.exit(2 if isinstance(error, Misconfigured) else 1)


def _terminated(number: int, frame: object) -> None:
    sys.exit(128 + number)


def end(code: int) -> None:
    """End the command with this exit code."""
    raise typer.Exit(code)


def _sentence(error: WaypostError) -> str:
    return f"{error.message} ({error.code})" if isinstance(error, Rejected) else str(error)
