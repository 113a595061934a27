"""`waypost rejected` and `waypost rejected replay`, as they are called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.commands import DEFAULT_URL, By, Token, Url
from services.cli.entry import end
from services.shared.errors import Misconfigured

rejected_app = typer.Typer(help="What was refused, by any room, and why.")
Source = Annotated[str | None, typer.Option(help="of this source only", show_default=False)]
Code = Annotated[str | None, typer.Option(help="refused with this code only", show_default=False)]
Room = Annotated[str | None, typer.Option(help="refused by this room only", show_default=False)]
Since = Annotated[str | None, typer.Option(help="refused from this time on, such as 2026-11-21T09:30:00Z", show_default=False)]
Until = Annotated[str | None, typer.Option(help="refused before this time", show_default=False)]


@rejected_app.callback(invoke_without_command=True)
def rejected(
    context: typer.Context,
    source: Source = None,
    code: Code = None,
    room: Room = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="how many to show")] = 20,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Show what was refused, the newest first, and how many there are of each code and source."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console

    from services.cli.rejected import show

    show(url, token, _filter(source=source, code=code, room=room, since=since, until=until), limit, Console())


@rejected_app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="ids of rejected records", show_default=False)] = None,
    source: Source = None,
    code: Code = None,
    room: Room = None,
    since: Since = None,
    until: Until = None,
    all: Annotated[bool, typer.Option("--all", help="everything that no replay has brought in yet")] = False,
    body: Annotated[Path | None, typer.Option(help="JSON that takes the place of the one record", show_default=False)] = None,
    by: By = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Take rejected records in again, after the rules or the data were mended. Exit code 1 if any is rejected again."""
    import getpass

    import msgspec
    from rich.console import Console

    from services.cli.rejected import replay, selected

    selection: dict[str, Any] = selected(ids, _filter(source=source, code=code, room=room, since=since, until=until), all)
    if body is not None:
        try:
            selection["body"] = msgspec.Raw(body.read_bytes())
        except OSError as error:
            raise Misconfigured(f"{body} cannot be read: {error.strerror}") from None
    end(0 if replay(url, token, {**selection, "by": by or getpass.getuser()}, Console()) else 1)


def _filter(**given: str | None) -> dict[str, str]:
    return {name: value for name, value in given.items() if value is not None}
