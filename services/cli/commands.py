"""The commands that talk to a running service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.entry import end
from services.shared.errors import Misconfigured

if TYPE_CHECKING:
    from services.cli.deciding import Decider

DEFAULT_URL = "http://127.0.0.1:8000"
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Waypost tracks customer journeys: touchpoints in, exact journeys and KPIs out.",
)
Url = Annotated[str, typer.Option(help="address of the running service")]
Token = Annotated[str, typer.Option(help="read or admin token, where the service wants one", show_default=False)]
Key = Annotated[
    str | None, typer.Option(help="write key of the source that sends  [default: from DATA/write-key]", show_default=False)
]
By = Annotated[str | None, typer.Option(help="who decides it  [default: who runs this command]", show_default=False)]
Reason = Annotated[str, typer.Option(help="why, for whoever asks later")]
Data = Annotated[Path, typer.Option(help="data folder of the service, where its first write key is")]
DATA = Path("waypost-data")


def write_key(key: str | None, data: Path) -> str:
    """The key that was given, or the first one of an embedded service. Raises Misconfigured if there is none."""
    if key:
        return key
    try:
        return (data / "write-key").read_text().strip()
    except OSError:
        raise Misconfigured(
            f"there is no write key in {data / 'write-key'}; give one with --key, or the folder with --data"
        ) from None


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="NDJSON of touchpoints, or CSV with a map; plain or .gz")],
    map: Annotated[Path | None, typer.Option(help="TOML that says what the columns of a table mean")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    data: Data = DATA,
    rejects: Annotated[Path | None, typer.Option(help="write every refused line to this CSV file")] = None,
) -> None:
    """Import a file of touchpoints; importing it again changes nothing."""
    from rich.console import Console

    from services.cli.importing.command import import_file, report

    console = Console()
    imported = import_file(file, map, url, write_key(key, data), rejects, console)
    report(imported, rejects, console)
    end(1 if imported.refused else 0)


@app.command()
def demo(
    exit: Annotated[bool, typer.Option("--exit", help="end after comparing; exit code 1 if any answer is wrong")] = False,
    people: Annotated[int, typer.Option(min=1)] = 5_000,
    touchpoints: Annotated[int, typer.Option(min=1, help="about how many")] = 100_000,
    seed: int = 1,
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 0,
) -> None:
    """Send a generated year of journeys to a fresh service and compare every answer with the truth."""
    from rich.console import Console

    from services.cli.demo.run import Plan, demonstrate

    end(0 if demonstrate(Plan(people, touchpoints, seed, port, stays=not exit), Console()) else 1)


@app.command()
def simulate(
    rate: Annotated[float, typer.Option(min=0.1, help="touchpoints a second")] = 20.0,
    people: Annotated[int, typer.Option(min=1)] = 1_000,
    seed: Annotated[int | None, typer.Option(help="the same seed gives the same people; a new one unless given")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="stop after so many; else go on until Ctrl-C")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    data: Data = DATA,
) -> None:
    """Send generated touchpoints to a running service, as if they happened now."""
    from rich.console import Console

    from services.cli.simulate.live import send_live

    seed = time.time_ns() if seed is None else seed
    send_live(url, write_key(key, data), rate, people, seed, count, Console())


@app.command()
def check(
    url: Url = DEFAULT_URL,
    token: Token = "",
    all: Annotated[bool, typer.Option("--all", help="check everybody and every table, not a sample of people")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines instead of a table")] = False,
) -> None:
    """Have journeys and KPIs recounted from what is stored, and say what differs; exit code 1 if anything does."""
    from rich.console import Console

    from services.cli.checking import check_rooms, tell_rooms

    end(0 if (tell_rooms(url, token, all) if json else check_rooms(url, token, all, Console())) else 1)


@app.command()
def kpis(
    id: Annotated[str | None, typer.Argument(help="one KPI, by month; without it the catalogue", show_default=False)] = None,
    by: Annotated[str, typer.Option(help="dimensions, joined by commas", show_default=False)] = "",
    days: Annotated[int, typer.Option(min=1, help="how far back")] = 365,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """The catalogue of KPIs, or the figures of one."""
    from rich.console import Console

    from services.cli.asking import show_kpi, show_kpis

    if id is None:
        show_kpis(url, token, Console())
    else:
        show_kpi(url, token, id, by, days, Console())


@app.command()
def erase(
    id: Annotated[str, typer.Argument(help="NAMESPACE:VALUE, such as customer_id:c-42, or person_id:UUID")],
    after: Annotated[
        str, typer.Option(help="tokens of receipts, joined by commas: wait until they are stitched", show_default=False)
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="don't ask")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Erase a person up to now, everywhere, and wait until it is done."""
    from rich.console import Console

    from services.cli.erasing import erase_person

    end(0 if erase_person(url, token, id, after, yes, Console()) else 1)


@app.command()
def person(
    id: Annotated[str, typer.Argument(help="NAMESPACE:VALUE, such as customer_id:c-42")],
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """A person's identities and journeys."""
    from rich.console import Console

    from services.cli.asking import show_person

    show_person(url, token, id, Console())


@app.command()
def export(
    id: Annotated[str, typer.Argument(help="NAMESPACE:VALUE, such as customer_id:c-42")],
    out: Annotated[Path | None, typer.Option(help="file to write  [default: standard output]", show_default=False)] = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Everything held on a person, as one JSON document."""
    from services.cli.asking import export_person

    export_person(url, token, id, out)


@app.command()
def link(
    first: Annotated[str, typer.Argument(help="NAMESPACE:VALUE")],
    second: Annotated[str, typer.Argument(help="NAMESPACE:VALUE")],
    reason: Reason,
    by: By = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Make two identities stand for one person."""
    from rich.console import Console

    _decider(url, token, by, reason).link([first, second], Console())


@app.command()
def unlink(
    first: Annotated[str, typer.Argument(help="NAMESPACE:VALUE")],
    second: Annotated[str, typer.Argument(help="NAMESPACE:VALUE")],
    reason: Reason,
    by: By = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Part two identities that are one by a link, or because they were seen together."""
    from rich.console import Console

    _decider(url, token, by, reason).unlink([first, second], Console())


@app.command()
def release(
    id: Annotated[str, typer.Argument(help="NAMESPACE:VALUE of a suspected bot")],
    reason: Reason,
    by: By = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Count a suspected bot as a person again."""
    from rich.console import Console

    _decider(url, token, by, reason).release(id, Console())


def _decider(url: str, token: str, by: str | None, reason: str) -> Decider:
    import getpass

    from services.cli.deciding import Decider

    return Decider(url, token, by or getpass.getuser(), reason)
