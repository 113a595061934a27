"""Publishing on Kafka under a fence: a transactional producer, whose id shuts out the one that held it before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Any

from kafka.errors import KafkaError, KafkaTimeoutError

from services.shared.bus import Outgoing, Position, size_of
from services.shared.bus.kafka.acks import Call, Waiting
from services.shared.bus.kafka.driver import PUBLISH_TIMEOUT_S, translated
from services.shared.bus.kafka.publisher import Know, abandon, send_all
from services.shared.errors import Unavailable, WaypostError


class FencedPublisher:
    """A `Publisher` under a fence: everything that is queued becomes one transaction.

    After a failure every call fails until somebody opens another: this one cannot know whether it was shut out meanwhile, and
    a new producer under its id would shut out whoever came after it. Whoever opens the next ends the transaction left behind.
    """

    def __init__(self, open_producer: Callable[[], Any], know: Know) -> None:
        self._know = know
        with translated():
            self._producer = open_producer()
            try:
                self._producer.init_transactions()
            except KafkaError:
                abandon(self._producer)
                raise
        self._transactions = self._producer._transaction_manager
        # After some errors kafka-python asks for a new epoch of the id by itself, which could shut out our successor.
        self._transactions._supports_epoch_bump = lambda: False
        self._waiting = Waiting()
        self._queue: list[tuple[Call, Sequence[Outgoing]]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._lost: WaypostError | None = None
        self._thread = threading.Thread(target=self._run, name="kafka-fenced-publisher", daemon=True)
        self._thread.start()

    def publish(self, records: Sequence[Outgoing]) -> Future[list[Position]]:
        """See `Publisher.publish`."""
        call = Call(size_of(records))
        with self._changed:
            if self._closed:
                raise Unavailable("kafka: this publisher is closed")
            self._waiting.add(call)
            self._queue.append((call, records))
            self._changed.notify()
        return call.future

    def close(self, timeout_s: float = 10.0) -> None:
        """See `Publisher.close`."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify()
        wait(self._waiting.futures(), timeout_s)
        self._waiting.fail_all(Unavailable("kafka: closed before it was acknowledged"))
        self._thread.join()
        if self._lost is None:
            self._producer.close(timeout=timeout_s)

    def _run(self) -> None:
        try:
            while batch := self._take():
                if self._lost is None:
                    self._transact([(call, records) for call, records in batch if not call.future.done()])
                else:
                    self._waiting.fail_all(self._lost)
        except BaseException as error:  # a mistake of ours: it ends the thread, but nobody waits for ever
            with self._changed:
                self._closed = True
            self._waiting.fail_all(Unavailable(f"kafka: the publisher broke: {error!r}"))
            raise

    def _take(self) -> list[tuple[Call, Sequence[Outgoing]]]:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            batch, self._queue = self._queue, []
            return batch

    def _transact(self, batch: Sequence[tuple[Call, Sequence[Outgoing]]]) -> None:
        """Publish a batch in one transaction and finish its calls."""
        try:
            self._producer.begin_transaction()
            for call, records in batch:
                self._send(call, records)
            self._commit()
        except KafkaError as error:
            self._lost = Unavailable(f"kafka: shut out or away, open another publisher: {error}")
            abandon(self._producer)
            self._waiting.fail_all(self._lost)
        else:
            for call, _ in batch:
                self._waiting.finish(call, call.outcome())

    def _send(self, call: Call, records: Sequence[Outgoing]) -> None:
        try:
            call.acks = send_all(self._producer, records, self._know)
        except WaypostError as error:  # before anything of this call was sent
            self._waiting.finish(call, error)

    def _commit(self) -> None:
        ending = self._transactions.begin_commit()
        self._producer._sender.wakeup()
        if not ending.wait(timeout_ms=PUBLISH_TIMEOUT_S * 1000):  # commit_transaction() would wait for ever
            raise KafkaTimeoutError("the transaction was not committed in time")
