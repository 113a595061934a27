"""The `waypost` command line, and the only place that puts several rooms into one process.

`waypost up` runs all rooms on one port; `waypost ingest|journey|metrics` runs one. What talks to a running service is in
`services.cli`. Imports stand in the functions that need them: a command loads only what it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli import entry
from services.cli.commands import app
from services.cli.rejected_commands import rejected_app
from services.shared.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from fastapi import APIRouter
    from prometheus_client import CollectorRegistry

    from services.ingest.store.sources import Sources
    from services.shared.bus import Bus
    from services.shared.config import Settings
    from services.shared.http import Check

ROOMS = ("ingest", "journey", "metrics")
Port = Annotated[int | None, typer.Option(help="port to listen on; 0 takes a free one  [default: 8000]", show_default=False)]
Data = Annotated[
    Path | None, typer.Option(help="folder of the embedded bus and databases  [default: waypost-data]", show_default=False)
]
Host = Annotated[str | None, typer.Option(help="address to listen on  [default: 127.0.0.1]", show_default=False)]


sources_app = typer.Typer(help="The sources that may send, and their write keys.", no_args_is_help=True)
rebuild_app = typer.Typer(help="Work out again what is derived from what is stored.", no_args_is_help=True)
app.add_typer(sources_app, name="sources")
app.add_typer(rebuild_app, name="rebuild")
app.add_typer(rejected_app, name="rejected")


@dataclass(frozen=True)
class Served:
    """What one room puts on the port."""

    router: APIRouter
    checks: Sequence[Check]
    doors: Mapping[str, Any] = field(default_factory=dict)
    open_paths: Sequence[str] = ()
    pages: Sequence[str] = ()
    first_key: str | None = None


@dataclass(frozen=True)
class Parts:
    """What rooms are built on; `stack` takes what has to be stopped, the last first."""

    settings: Settings
    bus: Bus
    registry: CollectorRegistry
    stack: ExitStack


def _ingest(parts: Parts) -> Served:
    from services.ingest.main import build
    from services.shared.clock import system_clock

    room = build(parts.settings, parts.bus, parts.registry, system_clock)
    parts.stack.callback(room.close)
    room.start()
    first = room.first_key
    return Served(room.router, room.checks, room.doors, room.open_paths, first_key=first.key if first and first.is_new else None)


def _journey(parts: Parts) -> Served:
    from services.cli.parts import open_database
    from services.journey.main import build
    from services.shared.clock import system_clock

    database = open_database(parts.settings, "journey")
    parts.stack.callback(database.close)
    room = build(parts.settings, database, parts.bus, parts.registry, system_clock)
    room.start()
    parts.stack.callback(room.stop)
    return Served(room.router, room.checks)


def _metrics(parts: Parts) -> Served:
    from services.cli.parts import open_database
    from services.metrics.main import build
    from services.shared.clock import system_clock

    database = open_database(parts.settings, "metrics")
    parts.stack.callback(database.close)
    room = build(parts.settings, database, parts.bus, parts.registry, system_clock)
    room.start()
    parts.stack.callback(room.stop)
    return Served(room.router, room.checks, pages=room.pages)


BUILDERS: Mapping[str, Callable[[Parts], Served]] = {"ingest": _ingest, "journey": _journey, "metrics": _metrics}


def run(settings: Settings, names: Sequence[str]) -> None:
    """Serve these rooms on one port until Ctrl-C or SIGTERM; everything that is held then is finished."""
    from prometheus_client import CollectorRegistry

    from services.cli.parts import open_bus
    from services.cli.serving import address, listen, serve
    from services.shared.http import Access, create_app

    access = Access.of(settings)
    with ExitStack() as stack:
        taken = stack.enter_context(listen(settings.host, settings.port))
        bus = open_bus(settings)
        stack.callback(bus.close)
        registry = CollectorRegistry()
        rooms = [BUILDERS[name](Parts(settings, bus, registry, stack)) for name in names]
        served = create_app(
            [room.router for room in rooms],
            _once(check for room in rooms for check in room.checks),
            registry,
            access,
            doors={path: door for room in rooms for path, door in room.doors.items()},
            open_paths=[path for room in rooms for path in room.open_paths],
            pages=[page for room in rooms for page in room.pages],
        )
        serve(served, taken, lambda: _say(settings, rooms, address(taken)))


def _once(checks: Any) -> list[Check]:
    """Rooms in one process share their bus: one check of a name is enough."""
    return list({check.name: check for check in checks}.values())


def _say(settings: Settings, rooms: Sequence[Served], url: str) -> None:
    for room in rooms:
        if room.first_key is not None:
            entry.say(f"The first write key, for the source `default`: {room.first_key} (kept in {settings.data / 'write-key'})")
    entry.say(f"Waypost listens on {url}")


@app.command()
def up(port: Port = None, data: Data = None, host: Host = None) -> None:
    """Run everything in one process, on one port."""
    from services.shared.config import load

    run(load(port=port, data=data, host=host), ROOMS)


def _one_room(name: str) -> None:
    def command(port: Port = None, host: Host = None) -> None:
        from services.shared.config import load

        run(load(port=port, host=host), [name])

    app.command(name, help=f"Run {name} alone, on the bus and database of the settings (WAYPOST_BUS, WAYPOST_DATABASE).")(command)


for _name in ROOMS:
    _one_room(_name)


@contextmanager
def _sources(data: Path | None) -> Iterator[Sources]:
    """The registry of sources of an installation, also while its service runs."""
    from services.ingest.main import open_database, open_sources
    from services.shared.clock import system_clock
    from services.shared.config import load

    settings = load(data=data)
    with closing(open_database(settings)) as database:
        yield open_sources(settings, database, system_clock)


@sources_app.command("add")
def add_source(
    name: str,
    system: Annotated[str | None, typer.Option(help="namespace of its order and case numbers  [default: its name]")] = None,
    origin: Annotated[list[str] | None, typer.Option(help="web origin that may post as it; may be repeated")] = None,
    trusted: Annotated[bool, typer.Option("--trusted", help="its aliases may join two customers; keep its keys secret")] = False,
    data: Data = None,
) -> None:
    """Register a source, or give one a further write key; prints the key, which is shown only here."""
    from services.ingest.store.sources import Source

    with _sources(data) as sources:
        entry.say(sources.add(Source(name, system or name, tuple(origin or ()), trusted)))


@sources_app.command("list")
def list_sources(data: Data = None) -> None:
    """All sources, with how many keys each has."""
    with _sources(data) as sources:
        for row in sources.list():
            origins = f", from {', '.join(row.source.origins)}" if row.source.origins else ""
            trusted = ", trusted" if row.source.is_trusted else ""
            entry.say(f"{row.source.name}  (system {row.source.system}, {row.keys} keys{origins}{trusted})")


@sources_app.command("trust")
def trust_source(
    name: str,
    off: Annotated[bool, typer.Option("--off", help="trust it no more")] = False,
    data: Data = None,
) -> None:
    """Let the aliases of a source join two customers; keep its keys secret, then."""
    with _sources(data) as sources:
        sources.trust(name, not off)
        entry.say(f"{name} is {'not ' if off else ''}trusted")


@sources_app.command("revoke")
def revoke_source(name: str, data: Data = None) -> None:
    """Revoke every write key of a source."""
    with _sources(data) as sources:
        entry.say(f"{sources.revoke(name)} keys of {name} are revoked")


@rebuild_app.command("journey")
def rebuild_journey(data: Data = None) -> None:
    """Stitch and fold all stored touchpoints anew, by this version and these settings, beside the running service.

    It may be interrupted, and goes on from there when it is called again. Processes with other settings write nothing more when it is done.
    """
    from services.cli.parts import open_bus, open_database
    from services.cli.progress import counting
    from services.journey.main import rebuild
    from services.shared.config import load

    settings = load(data=data)
    with (
        closing(open_bus(settings)) as bus,
        closing(open_database(settings, "journey")) as database,
        counting("touchpoints stitched anew") as step,
    ):
        months = rebuild(settings, database, bus, step)
    entry.say(f"All journeys are those of this version and these settings; {months:,} months of people are published again.")


@rebuild_app.command("metrics")
def rebuild_metrics(data: Data = None) -> None:
    """Recompute all KPIs from the stored facts, by this version and these settings, beside the running service.

    It may be interrupted, and goes on from there when it is called again. Processes with other settings stop when it is done.
    """
    from schemas.topics import JOURNEYS
    from services.cli.parts import open_bus, open_database
    from services.cli.progress import counting
    from services.metrics.store.rebuilding import rebuild
    from services.shared.config import load
    from services.shared.positions import bounds_of

    settings = load(data=data)
    with (
        closing(open_bus(settings)) as bus,
        closing(open_database(settings, "metrics")) as database,
        counting("facts counted anew") as step,
    ):
        facts = rebuild(
            database, bus.describe(JOURNEYS), settings.time_zone, step, lambda: bounds_of(bus, JOURNEYS), settings.opening_hours
        )
    entry.say(f"All KPIs are those of {facts:,} facts by this version and these settings.")


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="a new folder for it")],
    data: Data = None,
) -> None:
    """Copy an embedded installation to a new folder, also while its service runs."""
    from services.cli.backups.making import back_up
    from services.cli.progress import counting
    from services.journey.restoring import epoch_of
    from services.shared.clock import system_clock
    from services.shared.config import load

    settings = load(data=data)
    if not (settings.embedded_database and settings.embedded_bus):
        raise Misconfigured(
            "`waypost backup` is for embedded installations; the README says how PostgreSQL and Kafka are backed up"
        )
    with counting("bytes copied") as step:
        made = back_up(settings.data, folder, epoch_of, system_clock, step)
    entry.say(f"{folder} holds the installation as it was at {made.made_at}")


@app.command()
def restore(
    folder: Annotated[Path | None, typer.Argument(help="a backup that `waypost backup` made", show_default=False)] = None,
    data: Annotated[Path | None, typer.Option(help="new folder for the installation", show_default=False)] = None,
    database: Annotated[
        bool, typer.Option("--database", help="no folder: the PostgreSQL of WAYPOST_DATABASE was restored by its own tools")
    ] = False,
) -> None:
    """Make a new installation from a backup, and check it. Nothing is overwritten."""
    from services.cli.backups.unpacking import unpacked
    from services.shared.config import load

    if database == (folder is not None) or (data is None) != database:
        raise Misconfigured("say `waypost restore FOLDER --data NEW`, or `waypost restore --database`")
    if folder is None or data is None:
        _begin_again(load())
        return
    with unpacked(folder, data) as (aside, manifest):
        _begin_again(load(data=aside, bus="embedded", database="embedded"))
    entry.say(f"{data} holds the installation as it was at {manifest.made_at}")


def _begin_again(settings: Settings) -> None:
    """What has to be done to restored databases before anybody uses them. Raises Unavailable if they don't add up."""
    from services.cli.parts import open_bus, open_database
    from services.cli.progress import counting
    from services.journey import main as journey
    from services.metrics import main as metrics

    with (
        closing(open_bus(settings)) as bus,
        closing(open_database(settings, "journey")) as people,
        closing(open_database(settings, "metrics")) as facts,
    ):
        with counting("records of journeys compared") as step:
            restored = journey.begin_epoch(people, bus, step)
        entry.say(f"Epoch {restored.epoch}: {restored.again} months are published again, {restored.gone} as gone")
        for what, checked in (("people", journey.check(settings, people)), ("rows", metrics.check(settings, facts))):
            entry.say(f"Checked {checked.checked} {what}: {checked.mismatches} mismatches")
            if checked.mismatches:
                raise Unavailable("what was restored does not add up: " + str(checked.examples[0]))


def main() -> None:
    """The console script."""
    entry.run(app)


if __name__ == "__main__":
    main()
