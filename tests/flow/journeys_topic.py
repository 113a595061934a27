"""What the topic `journeys` says, and what it would say had everything come to a fresh installation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from schemas.facts import WATERMARK_KEY, PersonMonth
from schemas.topics import JOURNEYS
from services.journey.store.write import prepare
from services.shared.bus.embedded import EmbeddedBus
from services.shared.config import Settings
from services.shared.db import Database, sqlite_url
from tests.flow.journey_room import PARTITIONS, Journey, running


def published(folder: Path) -> dict[tuple[str, str], PersonMonth]:
    """What somebody who reads `journeys` from its start holds: the highest version of each month. The room has ended."""
    found: dict[tuple[str, str], PersonMonth] = {}
    with closing(EmbeddedBus(folder / "bus.db")) as bus:
        for partition in range(PARTITIONS):
            for record in bus.read(JOURNEYS, partition, 0):
                if record.key != WATERMARK_KEY and record.value is not None:
                    month = msgspec.json.decode(record.value, type=PersonMonth)
                    place = month.person_id, month.month
                    if place not in found or found[place].version < month.version:
                        found[place] = month
    return found


def counted(months: Mapping[tuple[str, str], PersonMonth]) -> dict[tuple[str, str], list[Any]]:
    return {place: sorted(month.facts, key=repr) for place, month in months.items() if not month.gone}


@contextmanager
def fresh_like(database: Database, folder: Path, settings: Settings) -> Iterator[Journey]:
    """A running room on an empty database that gives people the same ids."""
    with closing(Database(sqlite_url(folder / "journey.db"))) as fresh:
        prepare(fresh)
        with fresh.transaction() as tx, database.snapshot() as other:
            ((namespace,),) = database.execute(other, "SELECT namespace FROM installation")
            fresh.execute(tx, "UPDATE installation SET namespace = :namespace", {"namespace": namespace})
        with running(settings.model_copy(update={"data": folder}), fresh) as room:
            yield room
