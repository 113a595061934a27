"""Requests leave the event loop together and come back together, each with its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextvars import Context
from pathlib import Path
from typing import TypeVarTuple, Unpack

import pytest

from services.ingest.outbox import Outbox
from services.shared.bus import Outgoing, Position, TopicSpec, partition_of
from services.shared.bus.embedded import EmbeddedBus
from services.shared.errors import Unavailable

Ts = TypeVarTuple("Ts")


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often another thread woke it."""

    wake_ups = 0

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self.wake_ups += 1
        return super().call_soon_threadsafe(callback, *args, context=context)


class CountingPublisher:
    """Counts the calls of a real publisher."""

    def __init__(self, bus: EmbeddedBus) -> None:
        self._publisher = bus.publisher()
        self.calls = 0

    def publish(self, records: Sequence[Outgoing]) -> Future[list[Position]]:
        self.calls += 1
        return self._publisher.publish(records)

    def close(self, timeout_s: float = 10.0) -> None:
        self._publisher.close(timeout_s)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[EmbeddedBus]:
    opened = EmbeddedBus(tmp_path / "bus.db")
    opened.create([TopicSpec("t", 4)])
    yield opened
    opened.close()


def _records(request: int) -> list[Outgoing]:
    return [Outgoing("t", f"{request}/{n}".encode(), b"{}") for n in range(request % 3 + 1)]


def test_the_requests_of_one_turn_share_a_publish_and_a_wake_up(bus: EmbeddedBus) -> None:
    publisher = CountingPublisher(bus)

    async def run() -> list[list[Position]]:
        outbox = Outbox(publisher, asyncio.get_running_loop())
        return await asyncio.gather(*(outbox.send(_records(request)) for request in range(50)))

    loop = CountingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        outcomes = runner.run(run())
        wake_ups = loop.wake_ups
    assert (publisher.calls, wake_ups) == (1, 1)
    for request, positions in enumerate(outcomes):
        records = _records(request)
        assert [position.partition for position in positions] == [partition_of(record.key, 4) for record in records]
        for record, (partition, offset) in zip(records, positions, strict=True):
            assert bus.read("t", partition, offset, 1)[0].key == record.key


def test_when_the_bus_is_away_every_request_of_the_turn_hears_it(bus: EmbeddedBus) -> None:
    publisher = bus.publisher()
    bus.close()

    async def run() -> list[list[Position] | BaseException]:
        outbox = Outbox(publisher, asyncio.get_running_loop())
        return await asyncio.gather(*(outbox.send(_records(request)) for request in range(3)), return_exceptions=True)

    assert [type(outcome) for outcome in asyncio.run(run())] == [Unavailable] * 3


def test_a_request_that_was_given_up_spoils_no_other(bus: EmbeddedBus) -> None:
    publisher = bus.publisher()

    async def run() -> list[Position]:
        outbox = Outbox(publisher, asyncio.get_running_loop())
        outbox.send(_records(1)).cancel()
        return await outbox.send(_records(2))

    positions = asyncio.run(run())
    assert [bus.read("t", partition, offset, 1)[0].key for partition, offset in positions] == [r.key for r in _records(2)]
