"""What runs in the processes that these tests start: `waypost` as it is, composed from parts that may be armed.

Sessions of consumers are short here, so that a dead member is replaced soon, and so are the pauses between two looks at what was away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest.mock import patch

from services.cli import parts
from services.journey import relay
from services.shared import consume, db
from services.shared.bus import Bus, embedded, kafka
from services.shared.config import Settings
from services.shared.db import Database
from tests.faults.crashing import ArmedDatabase, Fuse, armed_bus

FUSE = "WAYPOST_TEST_FUSE"
ISOLATION = "WAYPOST_TEST_ISOLATION"
"""The isolation of transactions on PostgreSQL, if not what Waypost asks for."""
SESSION_S = 1.5
LOOK_S, LONGEST_PAUSE_S = 0.5, 1.0
IDLE_S = 3
"""How long a transaction in which nothing happens keeps its locks."""


def waypost(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run `waypost ARGUMENTS`; if the file that WAYPOST_TEST_FUSE names is there, until the point that it names."""
    from services.__main__ import main

    sys.argv = ["waypost", *arguments]
    fuse = os.environ.pop(FUSE, "")
    with ExitStack() as stack:
        for module, bus in ((embedded, embedded.EmbeddedBus), (kafka, kafka.KafkaBus)):
            stack.enter_context(patch.object(module, bus.__name__, partial(bus, session_timeout_s=SESSION_S)))
        for loop in (consume, relay):
            stack.enter_context(patch.multiple(loop, LOOK_S=LOOK_S, LONGEST_PAUSE_S=LONGEST_PAUSE_S))
        stack.enter_context(patch.object(db, "IDLE_IN_TRANSACTION_S", IDLE_S))
        stack.enter_context(patch.object(db, "ISOLATION", os.environ.pop(ISOLATION, db.ISOLATION)))
        if fuse and Path(fuse).exists():
            _arm(stack, Fuse(Path(fuse)))
        main()


def _arm(stack: ExitStack, fuse: Fuse) -> None:
    from services.ingest import main as ingest

    open_bus, open_database, open_ingests = parts.open_bus, parts.open_database, ingest.open_database

    def bus(settings: Settings) -> Bus:
        return armed_bus(open_bus(settings), fuse)

    def database(settings: Settings, room: str) -> Database:
        return ArmedDatabase(open_database(settings, room), fuse)

    def ingests(settings: Settings) -> Database:
        return ArmedDatabase(open_ingests(settings), fuse)

    stack.enter_context(patch.object(parts, "open_bus", bus))
    stack.enter_context(patch.object(parts, "open_database", database))
    stack.enter_context(patch.object(ingest, "open_database", ingests))
