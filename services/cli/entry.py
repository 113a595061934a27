"""How a command begins and ends: one clear sentence for what went wrong, and an exit code.

0 done · 1 it did not work (the service is away, an answer is wrong) · 2 it was called or set up wrongly · 130 Ctrl-C
"""

from __future__ import annotations

import sys

import click
import typer

from services.shared.errors import Misconfigured, Rejected, WaypostError


def say(text: str) -> None:
    """A line on standard output, at once: others may be waiting for it."""
    print(text, flush=True)


def run(app: typer.Typer) -> None:
    """Run the command line and exit."""
    sys.exit(_code(app))


def _code(app: typer.Typer) -> int:
    try:
        result = app(standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except WaypostError as error:
        print(f"waypost: {_sentence(error)}", file=sys.stderr)
        return 2 if isinstance(error, Misconfigured) else 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0


def _sentence(error: WaypostError) -> str:
    return f"{error.message} ({error.code})" if isinstance(error, Rejected) else str(error)
