"""The bus on Apache Kafka, through kafka-python.

driver     settings that all clients share; the translation of errors
acks       one future per call of `publish`, bounded waiting
publisher  publishing without a fence: an idempotent producer
fenced     publishing under a fence: a transactional producer
consumer   consuming as a member of a group
assignor   who holds which partitions
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from services.shared.bus import COMPACTION_LAG_S, MAX_RECORD_BYTES, TOMBSTONE_S, Publisher, Record, TopicInfo, TopicSpec
from services.shared.bus.kafka.assignor import CopartitionedAssignor
from services.shared.bus.kafka.consumer import KafkaGroupConsumer, to_record
from services.shared.bus.kafka.driver import ANSWER_TIMEOUT_S, PUBLISH_TIMEOUT_S, settings, translated
from services.shared.bus.kafka.fenced import FencedPublisher
from services.shared.bus.kafka.publisher import KafkaPublisher
from services.shared.errors import Misplaced, Unavailable

READ_SLICE_MS = 50
_OVERHEAD_BYTES = 20_000
"""What a batch adds to a single record of the largest size, and what compression may add where it does not help."""


class KafkaBus:
    """A `Bus` on the brokers of `bootstrap` ("host:port,host:port").

    `security` holds kafka-python's SASL and TLS settings as they are called there (`security_protocol`, `sasl_mechanism`, …).
    Topics are created with `replication` replicas, all but one of which must have a record before it is acknowledged.
    """

    def __init__(
        self, bootstrap: str, *, security: Mapping[str, str] | None = None, replication: int = 1, session_timeout_s: float = 10.0
    ) -> None:
        self._settings = settings(bootstrap, security or {})
        self._replication = replication
        self._session_timeout_s = session_timeout_s
        self._one_at_a_time = threading.Lock()
        self._admin: Any = None
        self._pinger: Any = None
        self._reader: Any = None
        self._known: set[str] = set()
        self._opened: list[KafkaPublisher | FencedPublisher | KafkaGroupConsumer] = []
        self._closed = False

    def create(self, topics: Iterable[TopicSpec]) -> None:
        """See `Bus.create`."""
        specs = {spec.name: spec for spec in topics}
        with translated():
            admin = self._get_admin()
            found = admin.describe_topics(sorted(specs))
            missing = [topic["name"] for topic in found if for_code(topic["error_code"]) is UnknownTopicOrPartitionError]
            if missing:
                wanted = {name: self._creation(specs[name]) for name in missing}
                for made in admin.create_topics(wanted, raise_errors=False)["topics"]:
                    error = for_code(made["error_code"])
                    if made["error_code"] and error is not TopicAlreadyExistsError:  # made by another process meanwhile: fine
                        raise error(made["error_message"])
            admin.wait_for_topics(sorted(specs))
        self._known |= specs.keys()

    def delete(self, topic: str) -> None:
        """See `Bus.delete`."""
        with translated():
            for gone in self._get_admin().delete_topics([topic], raise_errors=False)["topics"]:
                error = for_code(gone["error_code"])
                if gone["error_code"] and error is not UnknownTopicOrPartitionError:
                    raise error(gone["error_message"])
        self._known.discard(topic)

    def describe(self, topic: str) -> TopicInfo:
        """See `Bus.describe`."""
        with translated():
            (found,) = self._get_admin().describe_topics([topic])
            if found["error_code"]:
                raise for_code(found["error_code"])(topic)
        self._known.add(topic)
        return TopicInfo(topic, str(found["topic_id"]), len(found["partitions"]))

    def begin_offsets(self, topic: str) -> Mapping[int, int]:
        """See `Bus.begin_offsets`."""
        return self._offsets(topic, "beginning_offsets")

    def end_offsets(self, topic: str) -> Mapping[int, int]:
        """See `Bus.end_offsets`."""
        return self._offsets(topic, "end_offsets")

    def reported(self, group: str, topic: str) -> Mapping[int, int]:
        """See `Bus.reported`: the group's committed offsets."""
        with translated():
            found = self._get_admin().list_group_offsets(group)[group]
        return {where.partition: each.offset for where, each in found.items() if where.topic == topic and each.offset >= 0}

    def publisher(self, fence: str | None = None) -> Publisher:
        """See `Bus.publisher`."""
        publisher = (
            KafkaPublisher(self._open_producer, self._know)
            if fence is None
            else FencedPublisher(lambda: self._open_producer(fence), self._know)
        )
        self._opened.append(publisher)
        return publisher

    def consumer(self, group: str, topics: Sequence[str]) -> KafkaGroupConsumer:
        """See `Bus.consumer`."""
        for topic in topics:
            self.describe(topic)
        consumer = KafkaGroupConsumer(lambda assignor: self._open_consumer(group, assignor), topics)
        self._opened.append(consumer)
        return consumer

    def read(self, topic: str, partition: int, offset: int, max_records: int = 1000) -> list[Record]:
        """See `Bus.read`."""
        where = TopicPartition(topic, partition)
        begin, end = self.begin_offsets(topic), self.end_offsets(topic)
        if partition not in end or not begin[partition] <= offset <= end[partition]:
            raise Misplaced(f"{topic}/{partition} does not hold offset {offset}")
        records: list[Record] = []
        with translated(), self._one_at_a_time:
            reader = self._get_reader()
            reader.assign([where])
            reader.seek(where, offset)
            give_up_s = time.monotonic() + ANSWER_TIMEOUT_S
            while len(records) < max_records and reader.position(where) < end[partition]:
                # In slices: behind the last record lies the end of its transaction, which is nothing that a poll would return for.
                found = reader.poll(timeout_ms=READ_SLICE_MS, max_records=max_records - len(records)).get(where, ())
                records += [to_record(each) for each in found]
                if found:
                    give_up_s = time.monotonic() + ANSWER_TIMEOUT_S
                elif time.monotonic() > give_up_s:
                    raise KafkaTimeoutError(f"no answer when reading {topic}/{partition}")
        return records

    def ping(self) -> None:
        """See `Bus.ping`."""
        self._check_open()
        with translated():
            if self._pinger is None:
                quick = {"request_timeout_ms": 2000, "bootstrap_timeout_ms": 2000}
                self._pinger = KafkaAdminClient(**{**self._settings, **quick})
            self._pinger.describe_cluster()

    def close(self) -> None:
        """See `Bus.close`."""
        if self._closed:
            return
        self._closed = True
        with translated(), ExitStack() as stack:
            for client in (self._admin, self._pinger, self._reader, *self._opened):
                if client is not None:
                    stack.callback(client.close)

    def _creation(self, spec: TopicSpec) -> dict[str, Any]:
        configs = {
            "cleanup.policy": "delete",
            "retention.ms": "-1" if spec.retention_s is None else str(spec.retention_s * 1000),
            "retention.bytes": "-1",
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(MAX_RECORD_BYTES + _OVERHEAD_BYTES),
            "min.insync.replicas": str(max(1, self._replication - 1)),
        }
        if spec.compacted:
            configs["cleanup.policy"] = "compact" if spec.retention_s is None else "compact,delete"
            configs["min.compaction.lag.ms"] = "60000"
            configs["max.compaction.lag.ms"] = str(COMPACTION_LAG_S * 1000)  # finishes segments early: only those are compacted
            configs["delete.retention.ms"] = str(TOMBSTONE_S * 1000)
            configs["segment.ms"] = str(COMPACTION_LAG_S * 1000)
        return {"num_partitions": spec.partitions, "replication_factor": self._replication, "configs": configs}

    def _offsets(self, topic: str, which: str) -> dict[int, int]:
        partitions = [TopicPartition(topic, number) for number in range(self.describe(topic).partitions)]
        with translated(), self._one_at_a_time:
            known = self._get_reader().partitions_for_topic(topic)
            if known is not None and len(known) != len(partitions):  # kafka-python would learn of new partitions in five minutes
                self._reader.close()
                self._reader = None
            found = getattr(self._get_reader(), which)(partitions, timeout_ms=int(ANSWER_TIMEOUT_S * 1000))
        return {partition.partition: offset for partition, offset in found.items()}

    def _know(self, topic: str) -> None:
        """Raise Unavailable at once for a topic that is not there; kafka-python would wait for it to appear."""
        if topic not in self._known:
            self.describe(topic)

    def _open_producer(self, fence: str | None = None) -> Any:
        """A producer that knows the topics that we know, so that `publish` need not wait for them."""
        transactional = (
            {} if fence is None else {"transactional_id": fence, "transaction_timeout_ms": 10_000, "retry_backoff_ms": 20}
        )
        with translated():
            self._check_open()
            producer = KafkaProducer(
                **self._settings,
                **transactional,
                metrics_enabled=False,
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                linger_ms=2,
                batch_size=131_072,
                max_request_size=4 * 1024 * 1024,
                delivery_timeout_ms=int(PUBLISH_TIMEOUT_S * 1000),
                max_block_ms=int(ANSWER_TIMEOUT_S * 1000),
                allow_auto_create_topics=False,
            )
            for topic in sorted(self._known):
                producer.partitions_for(topic)
            return producer

    def _open_consumer(self, group: str, assignor: CopartitionedAssignor) -> Any:
        self._check_open()
        return KafkaConsumer(
            **self._settings,
            metrics_enabled=False,
            group_id=group,
            partition_assignment_strategy=[assignor],
            session_timeout_ms=int(self._session_timeout_s * 1000),
            heartbeat_interval_ms=500,  # members learn of a rebalance from the answers, and each takes two rounds
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            allow_auto_create_topics=False,
        )

    def _get_admin(self) -> Any:
        with self._one_at_a_time:
            self._check_open()
            if self._admin is None:
                self._admin = KafkaAdminClient(**self._settings)
            return self._admin

    def _get_reader(self) -> Any:
        self._check_open()
        if self._reader is None:
            self._reader = KafkaConsumer(
                **self._settings,
                metrics_enabled=False,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                allow_auto_create_topics=False,
            )
        return self._reader

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("kafka: closed")
