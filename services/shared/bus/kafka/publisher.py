"""Publishing on Kafka without a fence: an idempotent producer that is replaced when it fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Any

from kafka.errors import KafkaError

from services.shared.bus import Outgoing, Position, partition_of, size_of
from services.shared.bus.kafka.acks import Call, Waiting
from services.shared.bus.kafka.driver import unavailable
from services.shared.errors import Misplaced, Unavailable, WaypostError

log = logging.getLogger(__name__)

WATCH_S = 0.25
"""How often the watch looks for calls that are overdue, and tries to open a new producer when there is none."""


Know = Callable[[str], None]


def send_all(producer: Any, records: Sequence[Outgoing], know: Know) -> list[Any]:
    """Hand records to a producer, which keeps their order per partition; a future of kafka-python for each.

    Raises, before the first is handed over, Misplaced for a partition that the topic does not have, Unavailable (from `know`) for
    a topic that is not there.
    """
    topics = {record[0] for record in records}
    for topic in topics:
        know(topic)
    partitions = {topic: len(producer.partitions_for(topic)) for topic in topics}
    numbered: list[tuple[str, bytes | None, bytes, int]] = []
    for topic, key, value, partition in records:
        if partition is None:
            partition = partition_of(key, partitions[topic])
        elif not 0 <= partition < partitions[topic]:
            raise Misplaced(f"{topic} has no partition {partition}")
        numbered.append((topic, value, key, partition))
    send = producer.send
    return [send(topic, value, key, None, partition) for topic, value, key, partition in numbered]


def abandon(producer: Any) -> None:
    """Drop a producer and all that it holds, at once: its own `close` waits for acknowledgements that don't come."""
    producer._unregister_cleanup()
    producer._closed = True
    producer._sender.force_close()


class KafkaPublisher:
    """A `Publisher`. Records go to the producer in the caller's thread; a second thread watches over it.

    When a record fails, or is not acknowledged in time, the producer's state is doubtful (kafka-python's idempotent producer
    stops sending for good after some failures), so everything that waits fails with `Unavailable` and a new one is opened.
    """

    def __init__(self, open_producer: Callable[[], Any], know: Know) -> None:
        self._know = know
        self._open_producer = open_producer
        self._waiting = Waiting()
        self._producer: Any = open_producer()
        self._closing = threading.Event()
        self._trouble = threading.Event()
        self._watch = threading.Thread(target=self._look_after, name="kafka-publisher", daemon=True)
        self._watch.start()

    def publish(self, records: Sequence[Outgoing]) -> Future[list[Position]]:
        """See `Publisher.publish`."""
        if self._closing.is_set():
            raise Unavailable("kafka: this publisher is closed")
        call = Call(size_of(records))
        self._waiting.add(call)
        producer = self._producer
        if producer is None:
            self._waiting.finish(call, Unavailable("kafka: away"))
        elif not call.future.done():
            try:
                call.follow(send_all(producer, records, self._know), self._done)
            except WaypostError as error:
                self._waiting.finish(call, error)
            except KafkaError as error:
                self._waiting.finish(call, unavailable(error))
        return call.future

    def close(self, timeout_s: float = 10.0) -> None:
        """See `Publisher.close`."""
        if self._closing.is_set():
            return
        self._closing.set()
        _, unfinished = wait(self._waiting.futures(), timeout_s)
        self._trouble.set()
        self._watch.join()
        if self._producer is not None:
            abandon(self._producer) if unfinished else self._producer.close(timeout=timeout_s)
        self._waiting.fail_all(Unavailable("kafka: closed before it was acknowledged"))

    def _done(self, call: Call) -> None:
        outcome = call.outcome()
        self._waiting.finish(call, outcome)
        if isinstance(outcome, WaypostError):
            self._trouble.set()

    def _look_after(self) -> None:
        """Replace the producer whenever something failed or is overdue, until closed."""
        while not self._closing.is_set():
            if self._trouble.wait(WATCH_S) or self._waiting.overdue():
                self._replace()

    def _replace(self) -> None:
        broken, self._producer = self._producer, None
        self._waiting.fail_all(Unavailable("kafka: not acknowledged in time, or after a record that failed"))
        abandon(broken)
        while self._producer is None and not self._closing.is_set():
            try:
                self._producer = self._open_producer()
            except Unavailable as error:
                log.warning("no producer: %s", error)
                self._closing.wait(WATCH_S)
        self._trouble.clear()
