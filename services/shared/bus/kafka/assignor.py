"""The assignment of partitions to the members of a Kafka consumer group: co-partitioned, sticky and cooperative."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

from services.shared.bus.sharing import TopicPartition, share_out

_VERSION = 2  # of the subscription: the first that tells owned partitions and the generation they were given in


class CopartitionedAssignor:
    """What kafka-python asks of an assignor, on `share_out`.

    Cooperative (KIP-429): a partition that moves is first taken from the member that has it; that member then joins again, and
    the partition goes to its new owner. docs/decisions/0003 says why Kafka's own assignors do not do.
    """

    name = "waypost-copartitioned"

    def __init__(self) -> None:
        self._owned: frozenset[TopicPartition] = frozenset()
        self._generation = -1

    def supported_protocols(self) -> list[RebalanceProtocol]:
        """How members give up partitions."""
        return [RebalanceProtocol.COOPERATIVE]

    def metadata(self, topics: Iterable[str]) -> Any:
        """What this member tells when it joins."""
        owned = [ConsumerProtocolSubscription.TopicPartition(topic=t, partitions=p) for t, p in _by_topic(self._owned)]
        return ConsumerProtocolSubscription(
            version=_VERSION, topics=sorted(topics), user_data=b"", owned_partitions=owned, generation_id=self._generation
        )

    def on_assignment(self, assignment: Any, generation: int) -> None:
        """What this member was given."""
        self._owned = frozenset((partition.topic, partition.partition) for partition in assignment.partitions())
        self._generation = generation

    def forget(self) -> None:
        """The group took this member out: it holds nothing."""
        self._owned, self._generation = frozenset(), -1

    def assign(self, cluster: Any, members: Sequence[Any]) -> dict[str, Any]:
        """The leader's part: who gets what in this round."""
        subscriptions = {member.member_id: set(member.metadata.topics) for member in members}
        topics = set().union(*subscriptions.values())
        partitions = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        held = _held(members)
        shares = share_out(subscriptions, {topic: count for topic, count in partitions.items() if count}, held)
        given: dict[str, list[TopicPartition]] = {member: [] for member in subscriptions}
        for partition, member in shares.items():
            if held.get(partition, member) == member:  # else it is still with another: next round
                given[member].append(partition)
        return {member: ConsumerProtocolAssignment(0, _by_topic(mine), b"") for member, mine in given.items()}


AbstractPartitionAssignor.register(CopartitionedAssignor)


def _held(members: Sequence[Any]) -> dict[TopicPartition, str]:
    """Who holds what now. Of two that claim one partition, the one with the later generation: the other was away."""
    held: dict[TopicPartition, str] = {}
    for member in sorted(members, key=lambda member: (member.metadata.generation_id, member.member_id)):
        for topic in member.metadata.owned_partitions:
            held.update({(topic.topic, partition): member.member_id for partition in topic.partitions})
    return held


def _by_topic(partitions: Iterable[TopicPartition]) -> list[tuple[str, list[int]]]:
    topics: dict[str, list[int]] = defaultdict(list)
    for topic, partition in sorted(partitions):
        topics[topic].append(partition)
    return sorted(topics.items())
